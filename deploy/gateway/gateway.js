// What the gateway answers itself (njs, a module of nginx): problems, readiness, and the four documents as one.

const services = ['ingest', 'transform', 'store', 'analytics'];
const own = ['/healthz', '/readyz', '/openapi.json'];

// By status: code and title as in Shared/HTTP/ProblemCode.swift, a detail, and after how many seconds to try again.
const problems = {
    400: ['malformed_request', 'The bytes are no HTTP request', 'The request is not well-formed HTTP/1.1.'],
    404: ['not_found', 'There is no such resource', 'Nothing is served under this path.'],
    405: ['method_not_allowed', 'The resource has no such method', 'Allow names the methods that there are.'],
    408: ['request_timeout', 'The request came too slowly', 'The request did not arrive in time.', 1],
    414: ['target_too_long', 'The request line is too long', 'It is longer than 32,768 octets.'],
    431: ['headers_too_large', 'The header fields are too large', 'One is over 32,768 octets, or they are many.'],
    500: ['internal', 'Something went wrong here', 'The gateway failed.'],
    501: ['not_implemented', 'This part of HTTP is not supported', 'The transfer coding is not known.'],
    502: ['bad_gateway', 'The service cannot be reached', 'It is not there, or broke off its answer.', 1],
    503: ['service_unavailable', 'A service is not there', 'The service behind this path is not there.', 1],
    504: ['gateway_timeout', 'The service did not answer in time', 'The work may go on without an answer.', 5],
    505: ['http_version_not_supported', 'The HTTP version is not supported', 'HTTP/1.0 and HTTP/1.1 are.'],
};

function answer(r, status, type, value) {
    r.headersOut['Content-Type'] = type;
    r.headersOut['X-Request-Id'] = r.variables.millrace_request_id;
    r.return(status, JSON.stringify(value));
}

function send(r, status, code, title, detail, retryAfter, errors) {
    if (retryAfter) {
        r.headersOut['Retry-After'] = String(retryAfter);
    }
    const document = {
        type: 'urn:millrace:problem:' + code,
        title: title,
        status: status,
        detail: detail,
        code: code,
    };
    answer(r, status, 'application/problem+json', errors ? Object.assign(document, { errors: errors }) : document);
}

function sendProblem(r, status, detail) {
    const known = problems[status] || problems[500];
    if (status === 405) {
        r.headersOut['Allow'] = own.includes(r.uri) ? 'GET, HEAD' : 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
    }
    send(r, problems[status] ? status : 500, known[0], known[1], detail || known[2], known[3]);
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

// What a service says it lacks: its failed checks, eight at most. Whoever reads this has no key, so of a check's
// message only what is said before a colon is passed on: behind it stand reasons, with hosts and users in them.
function missing(name, reply) {
    let found;
    try {
        found = JSON.parse(reply.responseText).errors;
    } catch (error) {
        found = null;
    }
    const isNamed = one => one && typeof one.path === 'string' && /^[a-z][a-z ]{0,39}$/.test(one.path);
    const named = Array.isArray(found) ? found.filter(isNamed) : [];
    if (named.length === 0) {
        return [{ path: name, message: reply.status === 503 && found ? 'not ready' : 'no answer' }];
    }
    return named.slice(0, 8).map(one => ({
        path: name + '.' + one.path,
        message: String(one.message || '').split(':')[0].slice(0, 200) || 'failed',
    }));
}

async function readiness(r) {
    if (!isRead(r)) {
        return;
    }
    const replies = await ask(r, '/readyz');
    const absent = services.filter((name, index) => replies[index].status !== 200);
    if (absent.length === 0) {
        answer(r, 200, 'application/json', { status: 'ready' });
        return;
    }
    const errors = [].concat.apply([], absent.map(name => missing(name, replies[services.indexOf(name)])));
    send(r, 503, 'not_ready', 'The service is not ready', 'Not ready: ' + absent.join(', ') + '.', 1, errors);
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
