// What the gateway answers itself (njs, a module of nginx): problems, readiness, and the four services' documents as one.

const services = ['ingest', 'transform', 'store', 'analytics'];
const own = ['/healthz', '/readyz', '/openapi.json'];

// Status, code, title, and after how many seconds it is worth trying again.
const problems = {
    400: ['bad_request', 'Bad request', 0],
    404: ['not_found', 'Not found', 0],
    405: ['method_not_allowed', 'Method not allowed', 0],
    408: ['request_timeout', 'Request timeout', 1],
    414: ['uri_too_long', 'URI too long', 0],
    431: ['headers_too_large', 'Request header fields too large', 0],
    500: ['internal', 'Internal error', 0],
    501: ['not_implemented', 'Not implemented', 0],
    502: ['bad_gateway', 'Bad gateway', 1],
    503: ['service_unavailable', 'Service unavailable', 1],
    504: ['gateway_timeout', 'Gateway timeout', 5],
    505: ['http_version_not_supported', 'HTTP version not supported', 0],
};

const details = {
    400: 'The request is not well-formed HTTP/1.1.',
    404: 'Nothing is served under this path.',
    414: 'The request line is longer than 32,768 octets.',
    431: 'A header field is longer than 32,768 octets, or there are too many.',
    502: 'The service behind this path cannot be reached or broke off its answer.',
    503: 'The service behind this path cannot be reached.',
    504: 'The service behind this path did not answer in time.',
};

function answer(r, status, type, value) {
    r.headersOut['Content-Type'] = type;
    r.headersOut['X-Request-Id'] = r.variables.millrace_request_id;
    r.return(status, JSON.stringify(value));
}

function sendProblem(r, status, detail) {
    const known = problems[status] || ['error', 'Error', 0];
    if (known[2] > 0) {
        r.headersOut['Retry-After'] = String(known[2]);
    }
    if (status === 405) {
        r.headersOut['Allow'] = own.includes(r.uri) ? 'GET, HEAD' : 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
    }
    answer(r, status, 'application/problem+json', {
        type: 'about:blank',
        title: known[1],
        status: status,
        detail: detail || details[status] || known[1] + '.',
        code: known[0],
        request_id: r.variables.millrace_request_id,
    });
}

// Where nginx's own errors arrive (error_page).
function problem(r) {
    sendProblem(r, Number(r.variables.status) || 500);
}

// For the paths that are the gateway's own.
function isRead(r) {
    if (r.method !== 'GET' && r.method !== 'HEAD') {
        sendProblem(r, 405);
        return false;
    }
    return true;
}

function health(r) {
    if (isRead(r)) {
        answer(r, 200, 'application/json', { status: 'ok' });
    }
}

async function ask(r, path) {
    return Promise.all(services.map(name => r.subrequest('/_gateway/' + name + path, { method: 'GET' })));
}

async function readiness(r) {
    if (!isRead(r)) {
        return;
    }
    const replies = await ask(r, '/readyz');
    const states = {};
    let ready = true;
    replies.forEach((reply, index) => {
        ready = ready && reply.status === 200;
        states[services[index]] = reply.status === 200 ? 'ready' : 'not ready';
    });
    if (!ready) {
        r.headersOut['Retry-After'] = '1';
    }
    answer(r, ready ? 200 : 503, 'application/json', { status: ready ? 'ready' : 'not ready', services: states });
}

// Puts a document's paths and components into the whole. The services own different paths; of an operation that all
// have (their health) the gateway's is its own, so each is taken once.
function merge(whole, document) {
    Object.keys(document.paths || {}).forEach(path => {
        if (path !== '/metrics' && !(path in whole.paths)) {
            whole.paths[path] = document.paths[path];
        }
    });
    Object.keys(document.components || {}).forEach(kind => {
        whole.components[kind] = Object.assign(whole.components[kind] || {}, document.components[kind]);
    });
    (document.tags || []).forEach(tag => {
        if (!whole.tags.some(known => known.name === tag.name)) {
            whole.tags.push(tag);
        }
    });
}

async function openapi(r) {
    if (!isRead(r)) {
        return;
    }
    const replies = await ask(r, '/openapi.json');
    const absent = services.filter((name, index) => replies[index].status !== 200);
    if (absent.length > 0) {
        sendProblem(r, 503, 'The document is incomplete: no answer from ' + absent.join(', ') + '.');
        return;
    }
    const documents = replies.map(reply => JSON.parse(reply.responseText));
    const whole = {
        openapi: documents[0].openapi,
        info: Object.assign({}, documents[0].info, { title: 'Millrace' }),
        paths: {},
        components: {},
        tags: [],
    };
    if (documents[0].security) {
        whole.security = documents[0].security;
    }
    documents.forEach(document => merge(whole, document));
    answer(r, 200, 'application/json', whole);
}

export default { problem, health, readiness, openapi };
