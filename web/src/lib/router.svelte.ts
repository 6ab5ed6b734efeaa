/**
 * The current path, on the History API. Links within the app are followed without loading the page; the browser follows others
 * (`/docs`, `/api`, other origins, downloads).
 */

/** Paths below which the server itself responds, not the app. */
const FOREIGN = /^\/(api|docs|mqtt|healthz|readyz)(\/|$)/;

/** Pages that have another path now: links and bookmarks still lead there. */
const MOVED = new Map([['/admin/tap', '/admin/live']]);

class Router {
  /** The path: `/messages/01a2`. */
  path = $state(currentPath());
  /** The query: `router.query.get('status')`. */
  query = $state.raw(new URLSearchParams(location.search));
  /** Counts changes of the path, for effects that run with each. */
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
    const path = currentPath();
    if (path !== this.path) this.visits += 1;
    this.path = path;
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

function currentPath(): string {
  const moved = MOVED.get(location.pathname);
  if (moved !== undefined) history.replaceState(null, '', moved + location.search);
  return location.pathname;
}

export const router = new Router();
