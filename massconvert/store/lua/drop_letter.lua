-- include: _letters
-- Forget a letter.
-- KEYS[1] prefix; ARGV: id
-- Returns 1 when there was one, else 0.
return drop_letter(KEYS[1], ARGV[1]) and 1 or 0
