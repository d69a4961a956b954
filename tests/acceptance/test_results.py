"""Result files as people use them: from a CSV to three, through a spreadsheet, and in again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.acceptance.house import OPTIONS, House
from tests.acceptance.truth import code_of_unknown

pytestmark = pytest.mark.acceptance


def rows(path: Path, delimiter: str = ";") -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def reads_of_two(house: House) -> int:
    """How many reads show more than 100 leads, each once. Where 100 ids are too many, one is refused before."""
    return 2 if house.behaves("most_ids") >= 100 else 4


def test_a_csv_comes_back_as_three_and_the_fixed_error_file_is_input_again(house: House) -> None:
    """An export for Excel: a mark, CRLF, semicolons, umlauts; a duplicate, unknown and converted leads."""
    house.redis()
    told = {"one_bad_id": "refuse_all", "converted_lead": "refuse_all", "counts": "add_up"}
    house.simulator("--leads", "120", "--unknown", "2", "--converted", "3", "--job-seconds", "0.2", **told)
    house.worker()
    leads = house.leads()
    lines = ["Firma;Record Id;Status", *(f"Müller {n};{lead};neu" for n, lead in enumerate(leads))]
    lines.append(f"Müller again;{leads[0]};neu")
    (house.folder / "leads.csv").write_bytes("\r\n".join([*lines, ""]).encode("utf-8-sig"))
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    before = house.truth()
    done = house.command("enqueue", "leads.csv", "--options", "options.json", "--key", "k", "--wait", "--json")
    assert done.returncode == 1, done.stderr
    assert "massconvert report k --files --input leads.csv" in done.stderr
    done = house.command("report", "k", "--files", "--input", "leads.csv", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [found[part]["rows"] for part in ("success", "error", "unprocessed")] == [119, 2, 0]
    success, error = (rows(house.folder / found[part]["file"]) for part in ("success", "error"))
    assert list(success[0])[:4] == ["Firma", "Record Id", "Status", "mc_outcome"]
    unknown = [lead for lead in leads if lead not in before]
    assert [row["Record Id"] for row in success if row["Firma"] != "Müller again"] == [
        lead for lead in leads if lead not in unknown
    ]
    for row in success:
        assert leads[int(row["Firma"].split()[1])] == row["Record Id"] if "again" not in row["Firma"] else True
        assert row["mc_outcome"] == ("skipped" if before[row["Record Id"]]["converted"] else "converted")
        assert row["mc_row"] == f"k:{row['Record Id']}"
    assert {(row["Record Id"], row["mc_code"]) for row in error} == {(lead, code_of_unknown(house)) for lead in unknown}

    calls, truth = house.calls("GET Leads"), house.truth()
    done = house.command("report", "k", "--files", "--input", "leads.csv", "--with-ids", "--json")
    assert done.returncode == 0, done.stderr
    named = rows(house.folder / json.loads(done.stdout)["success"]["file"])
    for row in named:
        made = truth[row["Record Id"]]
        assert [row["mc_contact_id"], row["mc_deal_id"]] == [made["contact_id"] or "", made["deal_id"] or ""], made
    assert house.calls("GET Leads") == calls + reads_of_two(house)  # 120 converted leads, of which some are known

    text = (house.folder / "k-error.csv").read_bytes().decode("utf-8-sig")
    for lead in unknown:  # as Excel saves them
        text = text.replace(f";{lead};", ";3,6524E+18;")
    (house.folder / "fixed.csv").write_text(text, encoding="utf-8")
    again = house.command("enqueue", "fixed.csv", "--options", "options.json", "--key", "again", "--wait", "--json")
    assert again.returncode == 1, again.stderr
    assert json.loads(again.stdout)["accepted"] == 2
    assert "restored from the column mc_row" in again.stderr
    report = house.command("report", "again", "--format", "jsonl").stdout.splitlines()
    assert {json.loads(line)["lead_id"] for line in report} == set(unknown)


def test_convert_writes_them_with_the_columns_of_its_input(house: House) -> None:
    del house.environment["REDIS_URL"]
    house.environment["XDG_STATE_HOME"] = str(house.folder / "state")
    house.simulator("--leads", "60", "--unknown", "1", "--job-seconds", "0.2")
    (house.folder / "leads.csv").write_text("Name;id\n" + "".join(f"x;{lead}\n" for lead in house.leads()))
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    done = house.command("convert", "leads.csv", "--options", "options.json", "--key", "k", "--files", "--json")
    assert done.returncode == 1, done.stderr
    assert "massconvert convert k-error.csv" in done.stderr
    found = json.loads(done.stdout)["files"]
    assert {part: found[part]["rows"] for part in found} == {"success": 59, "error": 1, "unprocessed": 0}
    (error,) = rows(house.folder / "k-error.csv")
    assert (error["Name"], error["mc_code"]) == ("x", code_of_unknown(house))
    assert (house.folder / "k-report.csv").exists()


def test_convert_brings_the_ids_along_and_reads_each_once(house: House) -> None:
    """Into the report and the files; where Zoho does not tell them, both are written without, and that is said."""
    house.environment.pop("REDIS_URL")
    house.environment["XDG_STATE_HOME"] = str(house.folder / "state")
    house.simulator("--leads", "130", "--job-seconds", "0.2", counts="add_up")
    leads = house.leads()
    (house.folder / "leads.csv").write_text("\n".join(["id", *leads]))
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    no_scope = {"status": 401, "code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope"}
    house.set_faults({"method": "GET Leads", "do": "status", **no_scope})
    convert = ("convert", "leads.csv", "--options", "options.json", "--with-ids", "--output", "report.csv")
    refused = house.command(*convert, "--files", "--dir", "first")
    assert refused.returncode == 3, refused.stderr
    assert "Zoho refuses to tell the ids: 401 OAUTH_SCOPE_MISMATCH" in refused.stderr
    assert {row["outcome"] for row in rows(house.folder / "report.csv", ",")} == {"converted"}
    assert {row["contact_id"] for row in rows(house.folder / "report.csv", ",")} == {""}
    assert [path.name.rpartition("-")[2] for path in (house.folder / "first").glob("*-success.csv")] == ["success.csv"]

    house.set_faults()
    (house.folder / "again").mkdir()
    calls = house.calls("GET Leads")
    done = house.command(*convert, "--force", "--files", "--dir", "again")
    assert done.returncode == 0, done.stderr
    assert house.calls("GET Leads") == calls + reads_of_two(house)
    assert house.calls("POST mass_convert") == 3
    truth = house.truth()
    (success,) = (house.folder / "again").glob("*-success.csv")
    for row in rows(house.folder / "report.csv", ","):
        assert row["contact_id"] == truth[row["lead_id"]]["contact_id"]
    for row in rows(success, ","):
        assert [row["mc_contact_id"], row["mc_deal_id"]] == [
            truth[row["id"]][f"{what}_id"] for what in ("contact", "deal")
        ]
