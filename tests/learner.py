"""Somebody who looks at the exhibits in a real browser."""


class Learner:
    """A page of the exhibits that remembers what it asked for and what it complained about."""

    def __init__(self, browser, address, *, language="en", theme="light", width=1280, touch=False, still=True):
        self.context = browser.new_context(
            color_scheme=theme,
            viewport={"width": width, "height": 900},
            locale={"en": "en-US", "ko": "ko-KR"}[language],
            reduced_motion="reduce" if still else "no-preference",
            has_touch=touch,
        )
        self.page, self.address, self.language = self.context.new_page(), address, language
        self.outside, self.complaints = [], []
        self.page.on("request", lambda r: None if r.url.startswith((address, "data:")) else self.outside.append(r.url))
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))

    def open(self, where=""):
        self.page.goto("about:blank")
        self.page.goto(self.address + where)
        self.page.wait_for_selector(
            f"html[data-ready='{where.strip('#').split('?')[0] or 'landing'}']", timeout=180_000
        )
        return self.page

    def state(self):
        """The address, once it stands still."""
        # By the page's own clock, behind all that waits there: a busy machine stretches that, and not ours.
        self.page.evaluate(
            "new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done, 400)), 100))"
        )
        return self.page.evaluate("location.hash")

    def told(self):
        return self.page.inner_text(".sentence")

    def cell(self, surface):
        box = self.page.locator(surface).first.bounding_box()
        columns = int(self.page.locator(surface).first.get_attribute("data-columns"))
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] / columns
