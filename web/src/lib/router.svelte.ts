/**
 * Where we are, on the History API. Plain links are followed without loading the page anew; what is not the app's
 * (`/docs`, `/api`, other origins, downloads) is left to the browser.
 */

/** Paths below which the server answers itself. */
const FOREIGN = /^\/(api|docs|mqtt|healthz|readyz)(\/|$)/;

class Router {
  /** The path: `/messages/01a2`. */
  path = $state(location.pathname);
  /** The query: `router.query.get('status')`. */
  query = $state.raw(new URLSearchParams(location.search));
  /** How often one went somewhere: what is to happen on each way can depend on it. */
  visits = $state(0);

  constructor() {
    addEventListener('popstate', () => {
      this.#read();
    });
    document.addEventListener('click', (event) => {
      this.#follow(event);
    });
  }

  /** Goes to a path of the app. */
  go(to: string, { replace = false } = {}): void {
    if (to === location.pathname + location.search) return;
    if (replace) history.replaceState(null, '', to);
    else history.pushState(null, '', to);
    this.#read();
    if (!replace) scrollTo(0, 0);
  }

  #read(): void {
    if (location.pathname !== this.path) this.visits += 1;
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.target !== '' || link.hasAttribute('download')) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || FOREIGN.test(url.pathname) || url.hash !== '') return;
    event.preventDefault();
    this.go(url.pathname + url.search);
  }
}

export const router = new Router();
