// Starts Swagger UI. Requests that the session cookie authenticates need the session's CSRF token if they change
// something: it is asked for before each of them. A bearer token (the Authorize button) needs none.
'use strict';

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

async function addCsrfToken(request) {
  const method = (request.method || 'GET').toUpperCase();
  // Nobody is signed in yet who signs in.
  const signsIn = new URL(request.url, location.href).pathname === '/api/v1/auth/login';
  if (SAFE_METHODS.includes(method) || request.headers.Authorization || signsIn) {
    return request;
  }
  const session = await fetch('/api/v1/auth/session');
  if (session.ok) {
    request.headers['X-CSRF-Token'] = (await session.json()).csrf_token;
  }
  return request;
}

const ui = SwaggerUIBundle({
  dom_id: '#ui',
  url: '/api/openapi.json',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  requestInterceptor: addCsrfToken,
});

// The links in the description lead to operations of this page; Swagger UI would open another one.
document.addEventListener('click', (event) => {
  const link = event.target.closest('.info a[href^="#/"]');
  if (link) {
    event.preventDefault();
    ui.layoutActions.parseDeepLinkHash(link.hash);
  }
});
