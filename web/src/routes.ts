/** Which page is at which path. */
import { adminRoutes } from './admin/routes';
import { match, type Params } from './lib/match';
import type { LoadPage, PageComponent } from './lib/page';
import MessagesPage from './pages/messages/MessagesPage.svelte';
import { text } from './text';

export interface Route {
  /** `/messages/:id`. */
  pattern: string;
  /** For the window's title. */
  title: string;
  /** Only administrators find it. */
  admin?: boolean;
  /** The page, if it comes with the first load. */
  component?: PageComponent;
  /** The page, if it is fetched when somebody goes there. */
  load?: LoadPage;
}

export const routes: Route[] = [
  { pattern: '/', title: text.nav.messages, component: MessagesPage },
  { pattern: '/messages/:id', title: text.nav.messages, component: MessagesPage },
  {
    pattern: '/account',
    title: text.nav.account,
    load: () => import('./pages/account/AccountPage.svelte'),
  },
  {
    pattern: '/account/sessions',
    title: text.nav.sessions,
    load: () => import('./pages/account/SessionsPage.svelte'),
  },
  {
    pattern: '/tokens',
    title: text.nav.tokens,
    load: () => import('./pages/tokens/TokensPage.svelte'),
  },
  ...adminRoutes.map((route) => ({ ...route, admin: true })),
];

export interface Found {
  route: Route;
  params: Params;
}

/** The page at `path`. `admin`: whether the reader is an administrator. */
export function find(path: string, admin: boolean): Found | undefined {
  for (const route of routes) {
    const params = match(route.pattern, path);
    if (params !== undefined && (admin || route.admin !== true)) return { route, params };
  }
  return undefined;
}
