"use strict";
(() => {
  const KINDS = [
    { sign: "+", word: "create", style: "create" },
    { sign: "~", word: "move", style: "move" },
    { sign: "-", word: "remove", style: "remove" },
  ];
  const AT_ONCE = 100;
  const ROW_HEIGHT_PX = 32;
  const GROUP_HEIGHT_PX = 44;
  const OPEN_ROWS_MAX = 200;

  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const qualified = data.registries.length > 1;
  const changes = data.changes.map(([registry, repository, tag, kind, before, after, reason, rule, stage, reversible]) => {
    const name = qualified ? `${data.registries[registry]}/${repository}` : repository;
    return {
      name, tag, kind, before, after, reason, stage, reversible, rule: data.rules[rule],
      text: [name + ":" + tag, before, after, reason, data.rules[rule]].join("\n").toLowerCase(),
    };
  });

  // Everything from outside becomes text, never markup.
  const element = (name, properties, ...children) => {
    const made = document.createElement(name);
    Object.assign(made, properties);
    made.append(...children);
    return made;
  };
  const digest = (text) => {
    const end = "sha256:".length + 12;
    return element("code", { title: text }, text.slice(0, end), element("span", { className: "rest" }, text.slice(end)));
  };

  // Rows and groups are made when they come into sight, a hundred at once; until then a space keeps their place.
  const waiting = new WeakMap();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const fill = entry.isIntersecting && waiting.get(entry.target);
      if (fill) {
        observer.unobserve(entry.target);
        waiting.delete(entry.target);
        fill();
      }
    }
  }, { rootMargin: "600px" });
  const whenSeen = (space, fill) => {
    waiting.set(space, fill);
    observer.observe(space);
    return space;
  };
  const parts = (items) => {
    const all = [];
    for (let start = 0; start < items.length; start += AT_ONCE) all.push(items.slice(start, start + AT_ONCE));
    return all;
  };

  const lazyTable = (heads, rows, toRow) => {
    const head = element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text))));
    const bodies = parts(rows).map((part) => {
      const space = element("td", { colSpan: heads.length });
      space.style.height = `${part.length * ROW_HEIGHT_PX}px`;
      const body = element("tbody", {}, element("tr", { className: "later" }, space));
      return whenSeen(body, () => body.replaceChildren(...part.map(toRow)));
    });
    return element("div", { className: "body" }, element("table", {}, head, ...bodies));
  };

  const lazyGroups = (groups, toGroup) => parts(groups).map((part) => {
    const space = element("div", {});
    space.style.height = `${part.length * GROUP_HEIGHT_PX}px`;
    return whenSeen(space, () => space.replaceWith(...part.map(toGroup)));
  });

  const changeRow = (grouping) => (change) => {
    const kind = KINDS[change.kind];
    const digests = element("td", { className: "digests" });
    digests.append(change.before ? digest(change.before) : "new", " → ", change.after ? digest(change.after) : "gone");
    const name = grouping === "repository" ? change.tag : `${change.name}:${change.tag}`;
    return element("tr", {},
      element("td", { className: `sign ${kind.style}` }, `${kind.sign} ${kind.word}`),
      element("td", { className: "tag" }, name),
      digests,
      element("td", {}, change.stage > 0 ? `${change.reason}, stage ${change.stage}` : change.reason),
      element("td", {}, change.rule),
      element("td", { className: change.reversible ? "" : "final" }, change.reversible ? "reversible" : "not reversible"));
  };
  const HEADS = ["Action", "Tag", "Before → after", "Why", "Rule", "Rollback"];

  const counts = (rows) => {
    const sums = [0, 0, 0];
    for (const row of rows) sums[row.kind] += 1;
    return sums.flatMap((sum, kind) => sum === 0 ? [] : [element("span", { className: `count ${KINDS[kind].style}` }, `${KINDS[kind].sign}${sum}`)]);
  };

  // What the reader folded or unfolded stays so while filtering.
  const chosen = new Map();
  let allOpen = null;

  const fold = (key, head, isOpen, toBody) => {
    const details = element("details", {}, element("summary", {}, ...head));
    let isFilled = false;
    const fill = () => {
      if (details.open && !isFilled) {
        isFilled = true;
        details.append(toBody());
      }
    };
    details.open = chosen.get(key) ?? isOpen;
    fill();
    details.addEventListener("toggle", fill);
    details.firstChild.addEventListener("click", () => chosen.set(key, !details.open));
    return details;
  };

  const show = () => {
    const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const repository = byId("repository").value;
    const kinds = new Set([...document.querySelectorAll("[name=kind]:checked")].map((box) => Number(box.value)));
    const grouping = byId("group").value;
    const key = { repository: (change) => change.name, tag: (change) => change.tag, rule: (change) => change.rule }[grouping];
    const groups = new Map();
    let shown = 0;
    for (const change of changes) {
      if (!kinds.has(change.kind) || (repository && change.name !== repository)) continue;
      if (!words.every((word) => change.text.includes(word))) continue;
      shown += 1;
      const group = groups.get(key(change));
      if (group) group.push(change); else groups.set(key(change), [change]);
    }
    const toGroup = ([name, rows]) =>
      fold(`${grouping} ${name}`, [element("span", { className: "name" }, name), ...counts(rows)], allOpen ?? shown <= OPEN_ROWS_MAX, () =>
        lazyTable(HEADS, rows, changeRow(grouping)));
    byId("groups").replaceChildren(...lazyGroups([...groups], toGroup));
    byId("shown").textContent = `${shown} of ${changes.length} changes in ${groups.size} ${groups.size === 1 ? "group" : "groups"}`;
    document.documentElement.dataset.shown = shown;
  };

  const foldAll = (isOpen) => {
    allOpen = isOpen;
    chosen.clear();
    for (const details of byId("groups").querySelectorAll("details")) details.open = isOpen;
  };

  const others = () => {
    const lists = [["Skipped", "Why", data.skipped], ["Already correct", "Digest", data.unchanged]];
    for (const [title, head, rows] of lists.filter(([, , rows]) => rows.length > 0)) {
      byId("others").append(fold(title, [`${title}: ${rows.length}`], false, () =>
        lazyTable(["Address", head], rows, ([address, what]) =>
          element("tr", {}, element("td", { className: "tag" }, address), element("td", {}, what)))));
    }
  };

  const listen = () => {
    let frame = 0;
    const soon = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(show);
    };
    byId("filters").addEventListener("input", (event) => {
      if (event.target.id === "full") document.body.classList.toggle("full", event.target.checked);
      else soon();
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("open").addEventListener("click", () => foldAll(true));
    byId("close").addEventListener("click", () => foldAll(false));
    document.addEventListener("keydown", (event) => {
      const isTyping = event.target.matches?.("input[type=search], select");
      if (event.key === "/" && !isTyping) {
        event.preventDefault();
        byId("text").focus();
      } else if (event.key === "Escape" && event.target === byId("text")) {
        byId("text").value = "";
        soon();
      } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.matches?.("summary")) {
        const all = [...document.querySelectorAll("summary")];
        const next = all[all.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
        if (next) {
          event.preventDefault();
          next.focus();
        }
      }
    });
  };

  for (const name of new Set(changes.map((change) => change.name))) byId("repository").append(new Option(name, name));
  listen();
  others();
  show();
  document.querySelector("main").hidden = false;
})();
