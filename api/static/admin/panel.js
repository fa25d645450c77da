// The panel's script. Every page works without it; it asks before, copies, keeps fresh.
"use strict";

(() => {
  const dialog = document.querySelector("dialog.ask");
  let asked = null; // the form that the dialog is about
  let pressed = null; // its button

  function ask(form, button) {
    [asked, pressed] = [form, button];
    dialog.querySelector("p").textContent = form.dataset.confirm;
    dialog.returnValue = "";
    dialog.showModal();
  }

  dialog?.addEventListener("close", () => {
    if (dialog.open || !asked) return; // told late: it asks again already, or was answered
    const form = asked;
    asked = null;
    if (dialog.returnValue !== "yes") return;
    form.dataset.agreed = "1";
    form.requestSubmit(pressed);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && !form.dataset.agreed) {
      event.preventDefault();
      ask(form, event.submitter);
      return;
    }
    if (form.getAttribute("method") === "post") {
      if (form.dataset.sent) event.preventDefault(); // a double click
      form.dataset.sent = "1";
    }
  });

  // Back again by the browser's own button: forms may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      delete form.dataset.agreed;
    }
  });

  function dress(root) {
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.parentElement.querySelector("code").textContent;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });

  // An open menu closes by a click elsewhere, and by Escape.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.switch[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.switch[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    if (event.key === "/" && !event.target.closest("input, textarea, select, [contenteditable]")) {
      const search = document.getElementById("search");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  // Live parts: the page's own address, as events.
  let source = null;
  const FIRST = 5000, LONGEST = 120000; // ms
  let again = 0; // the timer of a stream that was refused
  let pause = FIRST; // the least before it's asked for anew; each refusal doubles it
  const late = {}; // parts that came while somebody was busy in them
  const sign = document.querySelector("[data-stream]");
  const news = document.querySelector("[data-news]");
  const LATE = 10000; // ms without a connection after which the page isn't live
  let doubt = 0; // the timer of that

  function isBusy(part) {
    const active = document.activeElement;
    const typing = active && part.contains(active) && active.matches("input, textarea, select");
    const selection = document.getSelection();
    const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    return typing || selecting || part.contains(asked) || part.querySelector("form[data-sent]");
  }

  // The one who tabs through a part must not lose the place when it is drawn anew.
  function place(part) {
    const active = document.activeElement;
    if (!active || active === part || !part.contains(active)) return -1;
    return [...part.querySelectorAll("a, button, input, select, summary, [tabindex]")].indexOf(active);
  }

  function refresh(parts) {
    for (const [name, html] of Object.entries(parts)) {
      const part = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
      delete late[name];
      if (!part) continue;
      if (isBusy(part)) {
        late[name] = html;
        continue;
      }
      const at = place(part);
      const drawn = new DOMParser().parseFromString(html, "text/html");
      part.replaceChildren(...drawn.body.childNodes);
      dress(part);
      if (at >= 0) {
        const places = part.querySelectorAll("a, button, input, select, summary, [tabindex]");
        if (places[at]) places[at].focus();
      }
    }
  }

  // What is read aloud is only that it's not live, and that it is again: neither how every page
  // begins, nor a connection that is made anew within seconds, as it is every ten minutes.
  function show(state, text) {
    clearTimeout(doubt);
    doubt = 0;
    if (!sign || sign.textContent === text) return;
    sign.dataset.stream = state;
    sign.textContent = text;
    if (state === "off") news.textContent = `This page is ${text}.`;
    else if (state === "live" && news.textContent) news.textContent = "This page is live again.";
  }

  function isLive() { show("live", "live"); }

  function isOff(why) { show("off", `not live: ${why}`); }

  function isLost() {
    if (!sign || sign.dataset.stream === "off") return;
    if (sign.dataset.stream !== "lost") show("lost", sign.textContent ? "reconnecting" : "connecting");
    doubt ||= setTimeout(isOff, LATE, "the server can't be reached");
  }

  function listen() {
    if (source || document.hidden || !document.querySelector("[data-live]")) return;
    source = new EventSource(location.pathname + location.search);
    isLost();
    source.addEventListener("error", () => {
      isLost();
      // The browser itself asks again after a broken connection, but not after a refusal: a proxy's 502
      // while we start, our own 503 without Redis.
      if (source && source.readyState === EventSource.CLOSED) later();
    });
    source.addEventListener("full", () => { later(); isOff("too many pages are open"); });
    source.addEventListener("away", () => isOff("Redis can't be reached"));
    source.addEventListener("parts", (event) => {
      isLive();
      pause = FIRST;
      refresh(JSON.parse(event.data));
    });
    source.addEventListener("over", () => {
      stop();
      location.reload(); // signed out, or the object is gone: the page says which
    });
  }

  function stop() {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  }

  function later() {
    stop();
    again = setTimeout(listen, pause * (1 + Math.random()));
    pause = Math.min(2 * pause, LONGEST);
  }

  setInterval(() => refresh({ ...late }), 2000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return listen();
    stop();
    isLost();
    clearTimeout(doubt); // nobody looks
    doubt = 0;
  });
  window.addEventListener("pagehide", stop);

  // A page that answers a form stands at the form's address, which can't be loaded again.
  const loadable = document.querySelector("[data-address]");
  if (loadable) history.replaceState(null, "", loadable.dataset.address);

  dress(document);
  listen();
})();
