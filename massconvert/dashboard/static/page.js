// Times in the reader's zone, and regions that follow what changes. The page works without it.
"use strict";
(() => {
  const exact = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  const near = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const far = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const localise = (root) => {
    // A whole day (without a T) is the organisation's day, in whatever zone it is read.
    for (const time of root.querySelectorAll("time[datetime*=T]")) {
      const at = new Date(time.dateTime);
      time.textContent = (at.toDateString() === new Date().toDateString() ? (time.closest("ol") ? exact : near) : far).format(at);
    }
  };
  localise(document);

  const every = Number(document.body.dataset.every || 0) * 1000;
  if (!every) return;
  const address = new URL(location.href);
  address.searchParams.delete("done");
  address.hash = "";
  const lost = document.getElementById("lost");
  const asOf = document.getElementById("as-of");
  const seen = new Map([...document.querySelectorAll("[data-live]")].map((region) => [region.id, region.outerHTML]));
  let tag = "";

  // A region stays as it is while the reader is in it, or has marked something there.
  const inUse = (region) =>
    region.contains(document.activeElement) ||
    (region.querySelector("form, .button") && region.matches(":hover")) ||
    (!getSelection().isCollapsed && region.contains(getSelection().anchorNode));

  const take = (fresh) => {
    let all = true;
    for (const next of fresh.querySelectorAll("[data-live]")) {
      const region = document.getElementById(next.id);
      if (!region) {
        place(next, fresh);
        continue;
      }
      if (next.outerHTML === seen.get(next.id)) continue;
      if (region.dataset.key !== next.dataset.key) {
        document.getElementById("newer").hidden = false;
      } else if (inUse(region)) {
        all = false;
      } else {
        seen.set(next.id, next.outerHTML);
        localise(next);
        region.replaceWith(document.importNode(next, true));
      }
    }
    for (const region of document.querySelectorAll("[data-live]")) {
      if (!fresh.getElementById(region.id) && !inUse(region)) region.remove();
    }
    return all;
  };

  // A region that was not there before comes behind the one that it follows.
  const place = (next, fresh) => {
    const html = next.outerHTML;
    let before = next.previousElementSibling;
    while (before && !(before.id && document.getElementById(before.id))) before = before.previousElementSibling;
    if (!before) return;
    seen.set(next.id, html);
    localise(next);
    document.getElementById(before.id).after(document.importNode(next, true));
  };

  const poll = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, redirect: "manual" });
        if (answer.type === "opaqueredirect" || answer.status === 401) {
          lost.textContent = "You are not logged in any more: load the page again.";
          return;
        }
        if (answer.status === 200) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          const asked = Number(fresh.body.dataset.every || 0);
          if (take(fresh)) tag = answer.headers.get("ETag") || "";
          wait = asked * 1000 || every;
        } else if (answer.status !== 304) {
          throw new Error(String(answer.status));
        }
        lost.textContent = "";
        const now = new Date();
        asOf.textContent = `As of ${new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }).format(now)}`;
      } catch {
        lost.textContent = "No answer: what you see may be old.";
      }
    }
    setTimeout(poll, wait);
  };
  let wait = every;
  setTimeout(poll, wait);
})();
