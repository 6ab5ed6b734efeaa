/**
 * The administrator's pages: paths, titles and icons. They are in the navigation in this order, and fetched when
 * somebody goes there.
 */
import type { LoadPage } from '../lib/page';
import type { IconName } from '../lib/ui/icons';
import { text } from '../text';

interface AdminRoute {
  pattern: string;
  title: string;
  icon: IconName;
  load: LoadPage;
}

export const adminRoutes: AdminRoute[] = [
  {
    pattern: '/admin/delay',
    title: text.nav.delay,
    icon: 'timer',
    load: () => import('./DelayPage.svelte'),
  },
  {
    pattern: '/admin/queue',
    title: text.nav.queue,
    icon: 'queue',
    load: () => import('./QueuePage.svelte'),
  },
  {
    pattern: '/admin/connections',
    title: text.nav.connections,
    icon: 'plug',
    load: () => import('./ConnectionsPage.svelte'),
  },
  {
    pattern: '/admin/users',
    title: text.nav.users,
    icon: 'users',
    load: () => import('./UsersPage.svelte'),
  },
  {
    pattern: '/admin/rules',
    title: text.nav.rules,
    icon: 'shield',
    load: () => import('./RulesPage.svelte'),
  },
  {
    pattern: '/admin/audit',
    title: text.nav.audit,
    icon: 'list',
    load: () => import('./AuditPage.svelte'),
  },
  {
    pattern: '/admin/live',
    title: text.nav.liveMessages,
    icon: 'pulse',
    load: () => import('./LiveMessagesPage.svelte'),
  },
];
