/** The words of the administrator's pages. */
import { operate } from './operate';
import { oversee } from './oversee';

export const admin = { ...operate, ...oversee };

export type AdminText = typeof admin;
