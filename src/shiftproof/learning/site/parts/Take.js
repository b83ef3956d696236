// What has been seen, as a sentence; then why, what to try, and how to do the same to one's own network.
import { html, useEffect, useState } from "#learn/view.js";

const QUIET_MS = 500;

/** @typedef {{key: string, values: Record<string, import("#learn/words.js").Value>}} Taken */

/**
 * Until a prediction is made it says only that nothing has been seen.
 * @param {{id: string, taken: Taken | null, own: readonly string[], see: {id: string, title: string}[], next: string | null, t: import("#learn/words.js").Speaker}} props
 */
export function Take({ id, taken, own, see, next, t }) {
  return html`<section class="take">
    <h2>${t("take.title")}</h2>
    <div class="told">
      <p class="sentence">${taken ? t(taken.key, taken.values) : t("take.nothing")}</p>
      <${Spoken} text=${taken ? t.plain(taken.key, taken.values) : ""} />
      ${taken &&
      html`<details>
          <summary>${t("take.why")}</summary>
          <p>${t(`${id}.why`)}</p>
          <p><b>${t("take.said")}</b> ${t(`${id}.corrects`)}</p>
          ${see.length > 0 && html`<p>${t("take.see")} ${see.map((e, i) => html`${i > 0 && ", "}<a href="#${e.id}">${t(e.title)}</a>`)}</p>`}
        </details>
        <dl class="after">
          <dt>${t("take.try")}</dt>
          <dd>${t(`${id}.try.next`)}</dd>
          <dt>${t("take.own")}</dt>
          <dd>${own.map((line) => html`<code>${line}</code>`)}</dd>
          ${next && html`<dt>${t("take.next")}</dt><dd><a href="#${next}">${t(`${next}.question`)}</a></dd>`}
        </dl>`}
    </div>
  </section>`;
}

/** For who hears the page: the sentence, half a second after the last move. @param {{text: string}} props */
function Spoken({ text }) {
  const [said, say] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => say(text), QUIET_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<p class="unseen" aria-live="polite">${said}</p>`;
}
