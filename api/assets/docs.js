// Starts Swagger UI. Requests that the session cookie authenticates need the session's CSRF token if they change
// something: it is asked for before each of them. A bearer token (the Authorize button) needs none.
'use strict';

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

async function addCsrfToken(request) {
  const method = (request.method || 'GET').toUpperCase();
  if (SAFE_METHODS.includes(method) || request.headers.Authorization) {
    return request;
  }
  const session = await fetch('/api/v1/auth/session');
  if (session.ok) {
    request.headers['X-CSRF-Token'] = (await session.json()).csrf_token;
  }
  return request;
}

SwaggerUIBundle({
  dom_id: '#ui',
  url: '/api/openapi.json',
  deepLinking: true,
  requestInterceptor: addCsrfToken,
});
