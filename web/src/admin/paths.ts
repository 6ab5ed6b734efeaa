/** Where pages about a user are, for those that lead there. */

/** The page Users with this user opened. */
export const usersPath = (name: string) => `/admin/users?user=${encodeURIComponent(name)}`;
/** The audit of what a user did. */
export const auditPath = (name: string) => `/admin/audit?actor=${encodeURIComponent(name)}`;
/** A user's MQTT sessions. */
export const connectionsPath = (name: string) => `/admin/connections?user=${encodeURIComponent(name)}`;
/** The live messages of a user. */
export const liveMessagesPath = (name: string) => `/admin/live?filter=${encodeURIComponent(name)}`;
