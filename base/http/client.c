/* Ordinary and streaming calls: libcurl's multi interface, its sockets and timer driven by the loop. */
#include "base/http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <strings.h>

#include "base/mem.h"

#define RESPONSE_DEFAULT_BYTES (64u << 20)
#define CONNECT_DEFAULT_MS 10000
#define RESPONSE_HEADERS_LIMIT 128
#define RESPONSE_HEAD_BYTES (128u << 10)

struct http_client {
  struct loop *loop;
  CURLM *multi;
  struct loop_timer *timer;
  struct http_call *calls;
  struct tls_config tls; /* our copies */
  bool acting;           /* inside of curl, which must not be entered again */
};


struct http_call {
  struct http_client *client; /* NULL: http_call_wait */
  struct http_call *prev, *next;
  CURL *easy;
  struct curl_slist *headers, *connect_to;
  struct arena arena; /* the answer's headers */
  struct http_header answer[RESPONSE_HEADERS_LIMIT + 1];
  size_t n_answer;
  struct buf body, sent;
  size_t limit;
  bool told, too_long, cancelled;
  char error[CURL_ERROR_SIZE];
  void (*on_headers) (void *arg, int status, const struct http_header *headers);
  bool (*on_data) (void *arg, const void *data, size_t len);
  void (*on_done) (void *arg, const struct http_response *response);
  void *arg;
};

const char *
http_headers_get (const struct http_header *headers, const char *name)
{
  for (; headers && headers->name; headers++)
    if (!strcasecmp (headers->name, name))
      return headers->value;
  return NULL;
}

const char *
http_response_header (const struct http_response *r, const char *name)
{
  return http_headers_get (r->headers, name);
}

static void
call_free (struct http_call *call)
{
  if (!call)
    return;
  if (call->easy)
    curl_easy_cleanup (call->easy);
  curl_slist_free_all (call->headers);
  curl_slist_free_all (call->connect_to);
  arena_done (&call->arena);
  buf_done (&call->body);
  buf_done (&call->sent);
  free (call);
}

static void
call_unlink (struct http_call *call)
{
  struct http_client *c = call->client;
  curl_multi_remove_handle (c->multi, call->easy);
  if (call->prev)
    call->prev->next = call->next;
  else
    c->calls = call->next;
  if (call->next)
    call->next->prev = call->prev;
}

static int
code_of (CURLcode code)
{
  switch (code) {
  case CURLE_OPERATION_TIMEDOUT:
    return ERR_TIMEOUT;
  case CURLE_COULDNT_CONNECT:
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    return ERR_UNAVAILABLE;
  case CURLE_OUT_OF_MEMORY:
    return ERR_NOMEM;
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return ERR_INVALID;
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CACERT_BADFILE:
    return ERR_DENIED;
  default:
    return ERR_IO;
  }
}

/* 0 or the error that the call ended with. */
static int
call_result (struct http_call *call, CURLcode code, struct err *err)
{
  char *url = NULL;
  if (call->too_long)
    return err_set (err, ERR_LIMIT, "response is longer than %zu bytes", call->limit);
  if (call->cancelled)
    return err_set (err, ERR_CANCELLED, "cancelled");
  if (code == CURLE_OK)
    return 0;
  curl_easy_getinfo (call->easy, CURLINFO_EFFECTIVE_URL, &url);
  return err_set (err, code_of (code), "%s: %s", url ? url : "", call->error[0] ? call->error : curl_easy_strerror (code));
}

static int
call_status (struct http_call *call)
{
  long status = 0;
  curl_easy_getinfo (call->easy, CURLINFO_RESPONSE_CODE, &status);
  return (int) status;
}

static void
tell_headers (struct http_call *call)
{
  int status = call_status (call);
  if (call->told || status < 200)
    return;
  call->told = true;
  if (call->on_headers)
    call->on_headers (call->arg, status, call->answer);
}

static size_t
on_curl_header (char *data, size_t one, size_t len, void *arg)
{
  struct http_call *call = arg;
  const char *colon = memchr (data, ':', len), *v, *end = data + len;
  char *name, *value;
  (void) one;
  if (len >= 5 && !memcmp (data, "HTTP/", 5)) { /* another answer begins: what came was interim */
    call->n_answer = 0;
    call->answer[0] = (struct http_header){0};
    arena_reset (&call->arena);
    return len;
  }
  if (len <= 2) {
    tell_headers (call);
    return len;
  }
  if (!colon || call->n_answer == RESPONSE_HEADERS_LIMIT)
    return len;
  for (v = colon + 1; v < end && (*v == ' ' || *v == '\t'); v++)
    ;
  while (end > v && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
    end--;
  name = arena_strndup (&call->arena, data, (size_t) (colon - data));
  value = arena_strndup (&call->arena, v, (size_t) (end - v));
  if (!name || !value)
    return len;
  for (char *p = name; *p; p++)
    if (*p >= 'A' && *p <= 'Z')
      *p = (char) (*p + ('a' - 'A'));
  call->answer[call->n_answer++] = (struct http_header){name, value};
  call->answer[call->n_answer] = (struct http_header){0};
  return len;
}

static size_t
on_curl_data (char *data, size_t one, size_t len, void *arg)
{
  struct http_call *call = arg;
  (void) one;
  tell_headers (call);
  if (call->on_data) {
    if (call->on_data (call->arg, data, len))
      return len;
    call->cancelled = true;
    return 0;
  }
  if (call->body.len + len > call->limit) {
    call->too_long = true;
    return 0;
  }
  buf_append (&call->body, data, len);
  return call->body.failed ? 0 : len;
}

/* Calls that ended are told outside of curl, and any of them may start others. */
static void
tell_ended (struct http_client *c)
{
  CURLMsg *m;
  int left;
  while ((m = curl_multi_info_read (c->multi, &left))) {
    struct http_call *call = NULL;
    struct http_response r = {0};
    struct err err = {0};
    CURLcode code = m->data.result;
    if (m->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo (m->easy_handle, CURLINFO_PRIVATE, (char **) &call);
    if (call_result (call, code, &err))
      r.error = &err;
    else
      r.status = call_status (call);
    r.body = &call->body;
    r.headers = call->answer;
    call_unlink (call);
    call->on_done (call->arg, &r);
    call_free (call);
  }
}

static void
act (struct http_client *c, curl_socket_t fd, int events)
{
  int running;
  c->acting = true;
  curl_multi_socket_action (c->multi, fd, events, &running);
  c->acting = false;
  tell_ended (c);
}

static void
on_fd (void *arg, int fd, int events)
{
  struct http_client *c = arg;
  act (c, fd, (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer (void *arg)
{
  act (arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_curl_socket (CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
  struct http_client *c = arg;
  struct loop_watch *w = sock;
  int events = (what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0);
  (void) easy;
  if (what == CURL_POLL_REMOVE) {
    loop_watch_free (w);
    curl_multi_assign (c->multi, fd, NULL);
  } else if (w)
    loop_watch_set (w, events);
  else if ((w = loop_watch_fd (c->loop, fd, events, on_fd, c)))
    curl_multi_assign (c->multi, fd, w);
  else
    return -1;
  return 0;
}

static int
on_curl_timer (CURLM *multi, long ms, void *arg)
{
  struct http_client *c = arg;
  (void) multi;
  if (ms < 0)
    loop_timer_cancel (c->timer);
  else
    loop_timer_set (c->timer, ms);
  return 0;
}

static void
curl_once (void)
{
  curl_global_init (CURL_GLOBAL_DEFAULT);
}

static void
init_curl (void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once (&once, curl_once);
}

static bool
copy_tls (struct tls_config *to, const struct tls_config *from)
{
  const char **dst[] = {&to->cert_file, &to->cert_pem, &to->key_file, &to->key_pem, &to->ca_file, &to->ca_pem};
  const char *src[] = {from->cert_file, from->cert_pem, from->key_file, from->key_pem, from->ca_file, from->ca_pem};
  *to = *from;
  for (size_t i = 0; i < 6; i++)
    *dst[i] = NULL;
  for (size_t i = 0; i < 6; i++)
    if (src[i] && !(*dst[i] = mem_strdup (src[i])))
      return false;
  return true;
}

static void
free_tls (struct tls_config *t)
{
  const char *all[] = {t->cert_file, t->cert_pem, t->key_file, t->key_pem, t->ca_file, t->ca_pem};
  for (size_t i = 0; i < 6; i++)
    free ((char *) (uintptr_t) all[i]);
}

struct http_client *
http_client_new (struct loop *loop, const struct tls_config *tls, unsigned max_connections, struct err *err)
{
  struct http_client *c = mem_zalloc (sizeof *c);
  init_curl ();
  if (!c || !(c->timer = loop_timer_new (loop, on_timer, c)) || !(c->multi = curl_multi_init ()) ||
      (tls && !copy_tls (&c->tls, tls))) {
    http_client_free (c);
    err_set (err, ERR_NOMEM, "HTTP client");
    return NULL;
  }
  c->loop = loop;
  curl_multi_setopt (c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
  curl_multi_setopt (c->multi, CURLMOPT_SOCKETDATA, c);
  curl_multi_setopt (c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
  curl_multi_setopt (c->multi, CURLMOPT_TIMERDATA, c);
  curl_multi_setopt (c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) (max_connections ? max_connections : 64));
  return c;
}

void
http_client_free (struct http_client *c)
{
  if (!c)
    return;
  while (c->calls)
    http_call_cancel (c->calls);
  if (c->multi)
    curl_multi_cleanup (c->multi);
  loop_timer_free (c->timer);
  free_tls (&c->tls);
  free (c);
}

#define SET(option, value) (ok = ok && curl_easy_setopt (call->easy, option, value) == CURLE_OK)

static bool
set_blob (struct http_call *call, CURLoption option, const char *pem)
{
  struct curl_blob blob = {.data = (void *) (uintptr_t) pem, .len = strlen (pem), .flags = CURL_BLOB_COPY};
  return curl_easy_setopt (call->easy, option, &blob) == CURLE_OK;
}

static bool
set_tls (struct http_call *call, const struct tls_config *t)
{
  bool ok = true;
  SET (CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  if (t->ca_pem)
    ok = ok && set_blob (call, CURLOPT_CAINFO_BLOB, t->ca_pem);
  else if (t->ca_file)
    SET (CURLOPT_CAINFO, t->ca_file);
  if (t->ca_pem || t->ca_file)
    SET (CURLOPT_CAPATH, NULL);
  if (t->cert_pem)
    ok = ok && set_blob (call, CURLOPT_SSLCERT_BLOB, t->cert_pem);
  else if (t->cert_file)
    SET (CURLOPT_SSLCERT, t->cert_file);
  if (t->key_pem)
    ok = ok && set_blob (call, CURLOPT_SSLKEY_BLOB, t->key_pem);
  else if (t->key_file)
    SET (CURLOPT_SSLKEY, t->key_file);
  if (t->insecure_skip_verify) {
    SET (CURLOPT_SSL_VERIFYPEER, 0L);
    SET (CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return ok;
}

static bool
add_line (struct curl_slist **list, const char *line)
{
  struct curl_slist *more = line ? curl_slist_append (*list, line) : NULL;
  if (more)
    *list = more;
  return more != NULL;
}

static bool
set_headers (struct http_call *call, const struct http_call_config *config)
{
  bool ok = true, expect = false;
  for (const struct http_header *h = config->headers; ok && h && h->name; h++) {
    AUTO_FREE char *line = NULL;
    if (!h->value || strpbrk (h->name, "\r\n:") || strpbrk (h->value, "\r\n"))
      continue;
    expect |= !strcasecmp (h->name, "expect");
    line = h->value[0] ? mem_printf ("%s: %s", h->name, h->value) : mem_printf ("%s;", h->name);
    ok = add_line (&call->headers, line);
  }
  if (!expect) /* curl's own would cost a round trip on larger bodies */
    ok = ok && add_line (&call->headers, "Expect:");
  if (!http_headers_get (config->headers, "content-type"))
    ok = ok && add_line (&call->headers, "Content-Type:");
  SET (CURLOPT_HTTPHEADER, call->headers);
  return ok;
}

/* The URL names whom to verify; the connection goes to the given address of it. */
static bool
set_server_name (struct http_call *call, const char *url, const char *name)
{
  struct arena a AUTO_ARENA = {0};
  const char *scheme_end = strstr (url, "://"), *host = scheme_end ? scheme_end + 3 : url;
  const char *end = host + strcspn (host, "/?#"), *colon = memrchr (host, ':', (size_t) (end - host));
  bool ok;
  char *rewritten, *to;
  arena_init (&a, 64u << 10);
  if (colon && memchr (colon, ']', (size_t) (end - colon)))
    colon = NULL;
  rewritten = arena_printf (&a, "%.*s%s%.*s%s", (int) (host - url), url, name, (int) (colon ? end - colon : 0),
                            colon ? colon : "", end);
  to = arena_printf (&a, "%s:%.*s:%.*s:%.*s", name, (int) (colon ? end - colon - 1 : 0), colon ? colon + 1 : "",
                     (int) ((colon ? colon : end) - host), host, (int) (colon ? end - colon - 1 : 0), colon ? colon + 1 : "");
  ok = rewritten && add_line (&call->connect_to, to);
  SET (CURLOPT_URL, rewritten);
  SET (CURLOPT_CONNECT_TO, call->connect_to);
  return ok;
}

static bool
set_method (struct http_call *call, const struct http_call_config *config)
{
  bool ok = true, head = !strcmp (config->method, "HEAD");
  if (head)
    SET (CURLOPT_NOBODY, 1L);
  else if (config->body_len || !strcmp (config->method, "POST") || !strcmp (config->method, "PUT") ||
           !strcmp (config->method, "PATCH")) {
    buf_append (&call->sent, config->body, config->body_len);
    ok = !call->sent.failed;
    SET (CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) config->body_len);
    SET (CURLOPT_POSTFIELDS, buf_cstr (&call->sent));
  }
  if (!head)
    SET (CURLOPT_CUSTOMREQUEST, config->method);
  return ok;
}

static struct http_call *
call_new (const struct http_call_config *config, const struct tls_config *tls, struct err *err)
{
  struct http_call *call = mem_zalloc (sizeof *call);
  bool ok = true;
  init_curl ();
  if (!call || !(call->easy = curl_easy_init ())) {
    free (call);
    err_set (err, ERR_NOMEM, "HTTP call");
    return NULL;
  }
  arena_init (&call->arena, RESPONSE_HEAD_BYTES);
  call->limit = config->response_limit_bytes ? config->response_limit_bytes : RESPONSE_DEFAULT_BYTES;
  call->on_headers = config->on_headers;
  call->on_data = config->on_data;
  call->on_done = config->on_done;
  call->arg = config->arg;
  SET (CURLOPT_PRIVATE, call);
  SET (CURLOPT_ERRORBUFFER, call->error);
  SET (CURLOPT_URL, config->url);
  SET (CURLOPT_PROTOCOLS_STR, "http,https");
  SET (CURLOPT_NOSIGNAL, 1L);
  SET (CURLOPT_TCP_NODELAY, 1L);
  SET (CURLOPT_TCP_KEEPALIVE, 1L);
  SET (CURLOPT_PROXY, "");
  SET (CURLOPT_USERAGENT, "kubus");
  /* A streamed call has a connection of its own: over HTTP/2 this curl tells the server of a cancelled one only with the next
     request. */
  SET (CURLOPT_HTTP_VERSION, (long) (config->http1_only || config->on_data ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  SET (CURLOPT_PIPEWAIT, 0L);
  SET (CURLOPT_CONNECTTIMEOUT_MS, (long) (config->connect_timeout_ms ? config->connect_timeout_ms : CONNECT_DEFAULT_MS));
  SET (CURLOPT_TIMEOUT_MS, (long) config->timeout_ms);
  SET (CURLOPT_HEADERFUNCTION, on_curl_header);
  SET (CURLOPT_HEADERDATA, call);
  SET (CURLOPT_WRITEFUNCTION, on_curl_data);
  SET (CURLOPT_WRITEDATA, call);
  if (!http_headers_get (config->headers, "accept-encoding"))
    SET (CURLOPT_ACCEPT_ENCODING, "gzip");
  if (config->unix_socket)
    SET (CURLOPT_UNIX_SOCKET_PATH, config->unix_socket);
  ok = ok && set_method (call, config) && set_headers (call, config);
  if (config->tls || tls)
    ok = ok && set_tls (call, config->tls ? config->tls : tls);
  if (config->server_name)
    ok = ok && set_server_name (call, config->url, config->server_name);
  if (ok)
    return call;
  call_free (call);
  err_set (err, ERR_INVALID, "%.200s: bad URL or options, or out of memory", config->url);
  return NULL;
}
#undef SET

int
http_call (struct http_client *c, const struct http_call_config *config, struct http_call **ret, struct err *err)
{
  struct http_call *call;
  REQUIRE (config->method && config->url && config->on_done);
  if (!(call = call_new (config, &c->tls, err)))
    return err && err->code ? err->code : ERR_INVALID;
  call->client = c;
  if (curl_multi_add_handle (c->multi, call->easy) != CURLM_OK) {
    call_free (call);
    return err_set (err, ERR_NOMEM, "HTTP call");
  }
  if ((call->next = c->calls))
    call->next->prev = call;
  c->calls = call;
  if (ret)
    *ret = call;
  return 0;
}

void
http_call_cancel (struct http_call *call)
{
  if (!call)
    return;
  REQUIRE (!call->client->acting);
  call_unlink (call);
  call_free (call);
}

void
http_call_pause (struct http_call *call, bool pause)
{
  struct http_client *c = call->client;
  c->acting = true; /* what curl held back is delivered from within */
  curl_easy_pause (call->easy, pause ? CURLPAUSE_RECV : CURLPAUSE_CONT);
  c->acting = false;
}

int
http_call_wait (const struct tls_config *tls, const struct http_call_config *config, struct buf *out, struct err *err)
{
  struct http_call_config c = *config;
  struct http_call *call;
  int r;
  c.on_headers = NULL;
  if (!(call = call_new (&c, tls, err)))
    return err && err->code ? err->code : ERR_INVALID;
  r = call_result (call, curl_easy_perform (call->easy), err);
  if (!r)
    r = call_status (call);
  if (r > 0 && out)
    buf_append (out, call->body.data, call->body.len);
  call_free (call);
  return r;
}
