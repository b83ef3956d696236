"""A page as a browser's parser finds it: elements, text, scripts; and what a hostile name has achieved in it."""

import re
from html.parser import HTMLParser


class Seen(HTMLParser):
    """The elements of a page, as a browser's parser would find them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.raw, self.within = [], [], [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.within = tag if tag in ("script", "style") else None
        if self.within:
            self.raw.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within:
            tag, attrs, text = self.raw.pop()
            self.raw.append((tag, attrs, text + data))
        else:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


def attacks(html):
    """What a hostile name has achieved: elements or attributes that no template writes."""
    seen = Seen(html)
    handlers = [(tag, name) for tag, attrs in seen.tags for name in attrs if name.startswith("on")]
    foreign = [attrs for attrs in seen.all("img") if not (attrs.get("src") or "").startswith("data:image/png;base64,")]
    return handlers + foreign + [tag for tag, _ in seen.tags if tag == "b"]


def leaves(html):
    """Addresses that the page would load, or go to, other than its own parts."""
    found = [value for _, attrs in Seen(html).tags for name, value in attrs.items() if name in ("src", "href", "data")]
    return [value for value in found if not value.startswith(("data:", "#"))]
