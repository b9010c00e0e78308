/* Checks that several kinds share. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "schemas/validate_internal.h"

#define SEEN_MAX 1024

const char *
v_string (const struct value *map, const char *key)
{
  return value_as_string (value_get (map, key), "");
}

int64_t
v_int (const struct value *map, const char *key)
{
  return value_as_int (value_get (map, key), 0);
}

bool
v_has (const struct value *map, const char *key)
{
  return !value_is_null (value_get (map, key));
}

bool
v_in (const char *s, const char *const *list)
{
  for (; *list; list++)
    if (strcmp (s, *list) == 0)
      return true;
  return false;
}

static bool
hollow (const struct value *v)
{
  return value_is_null (v) || ((v->type == VALUE_ARRAY || v->type == VALUE_MAP) && v->len == 0);
}

bool
v_same (const struct value *a, const struct value *b)
{
  if (hollow (a) || hollow (b))
    return hollow (a) && hollow (b);
  if (a->type == VALUE_ARRAY && b->type == VALUE_ARRAY) {
    for (uint32_t i = 0; i < a->len && a->len == b->len; i++)
      if (!v_same (a->items[i], b->items[i]))
        return false;
    return a->len == b->len;
  }
  if (a->type != VALUE_MAP || b->type != VALUE_MAP)
    return value_equal (a, b);
  for (value_each (a, m))
    if (!v_same (m->value, value_get_n (b, m->key, m->key_len)))
      return false;
  for (value_each (b, n))
    if (!hollow (n->value) && hollow (value_get_n (a, n->key, n->key_len)))
      return false;
  return true;
}

bool
v_seen (const struct value *list, size_t before, const char *field, const char *s)
{
  /* No honest list is longer; a hostile one must not cost its square. */
  for (size_t i = before > SEEN_MAX ? before - SEEN_MAX : 0; i < before; i++)
    if (strcmp (field ? v_string (value_at (list, i), field) : value_as_string (value_at (list, i), ""), s) == 0)
      return true;
  return false;
}

void
v_check (struct validation *v, vpath_t at, const char *s, const char *message)
{
  if (message)
    v_invalid_string (v, at, s, message);
}

void
v_check_name (struct validation *v, vpath_t at, const char *s, const char *(*fn) (const char *))
{
  v_check (v, at, s, fn (s));
}

void
v_nonnegative (struct validation *v, vpath_t at, const struct value *n)
{
  if (value_as_int (n, 0) < 0)
    v_invalid_int (v, at, value_as_int (n, 0), "must be greater than or equal to 0");
}

void
v_nonnegative_in (struct validation *v, vpath_t at, const struct value *map, const char *key)
{
  v_nonnegative (v, CHILD (at, key), value_get (map, key));
}

void
v_immutable (struct validation *v, vpath_t at, const struct value *now, const struct value *then)
{
  if (!v_same (now, then))
    v_invalid (v, at, now, "field is immutable");
}

void
v_port (struct validation *v, vpath_t at, int64_t port)
{
  if (port < 1 || port > 65535)
    v_invalid_int (v, at, port, "must be between 1 and 65535, inclusive");
}

void
v_port_number_or_name (struct validation *v, vpath_t at, const struct value *port)
{
  if (value_is (port, VALUE_STRING))
    v_check_name (v, at, port->s, name_port);
  else
    v_port (v, at, value_as_int (port, 0));
}

void
v_one_of (struct validation *v, vpath_t at, const char *s, const char *const *supported)
{
  if (!s[0])
    v_required (v, at, NULL);
  else if (!v_in (s, supported))
    v_not_supported (v, at, s, supported);
}

void
v_labels (struct validation *v, vpath_t at, const struct value *labels)
{
  for (value_each (labels, m)) {
    v_check_name (v, at, m->key, name_qualified);
    v_check_name (v, at, value_as_string (m->value, ""), name_label_value);
  }
}

static void
selector_requirement (struct validation *v, vpath_t at, const struct value *r)
{
  const char *op = v_string (r, "operator");
  size_t n = value_count (value_get (r, "values"));
  if (v_in (op, LIST ("In", "NotIn"))) {
    if (n == 0)
      v_required (v, CHILD (at, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (v_in (op, LIST ("Exists", "DoesNotExist"))) {
    if (n > 0)
      v_forbidden (v, CHILD (at, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  } else
    v_invalid_string (v, CHILD (at, "operator"), op, "not a valid selector operator");
  v_check_name (v, CHILD (at, "key"), v_string (r, "key"), name_qualified);
  for (size_t i = 0; i < n; i++)
    v_check_name (v, INDEX (CHILD (at, "values"), i), value_as_string (value_at (value_get (r, "values"), i), ""), name_label_value);
}

void
v_label_selector (struct validation *v, vpath_t at, const struct value *selector)
{
  const struct value *expressions = value_get (selector, "matchExpressions");
  v_labels (v, CHILD (at, "matchLabels"), value_get (selector, "matchLabels"));
  for (size_t i = 0; i < value_count (expressions); i++)
    selector_requirement (v, INDEX (CHILD (at, "matchExpressions"), i), value_at (expressions, i));
}

static bool
quantity_of_value (const struct value *q, struct quantity *ret)
{
  char text[48] = "";
  const char *s = value_as_string (q, text);
  if (value_is (q, VALUE_INT))
    snprintf (text, sizeof text, "%lld", (long long) q->i);
  else if (!value_is (q, VALUE_STRING))
    return false;
  return quantity_parse (s, ret, NULL) == 0;
}

int
v_quantity_compare (const struct value *a, const struct value *b)
{
  struct quantity x = { 0, 'D' }, y = { 0, 'D' };
  if (a && !quantity_of_value (a, &x))
    return 0;
  if (b && !quantity_of_value (b, &y))
    return 0;
  return x.nano < y.nano ? -1 : x.nano > y.nano;
}

/* Resources that are counted, not measured: everything but cpu, memory, storage, and what quotas derive from them. */
static bool
integer_resource (const char *name)
{
  if (v_in (name, LIST ("pods", "count/pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
                        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers")))
    return true;
  if (strncmp (name, "requests.", 9) == 0)
    name += 9;
  return strchr (name, '/') && !strstr (name, "kubernetes.io/");
}

void
v_resource_quantity (struct validation *v, vpath_t at, const char *resource, const struct value *q)
{
  struct quantity n;
  if (!quantity_of_value (q, &n))
    return;
  if (n.nano < 0)
    v_invalid (v, at, q, "must be greater than or equal to 0");
  if (integer_resource (resource) && n.nano % 1000000000 != 0)
    v_invalid (v, at, q, "must be an integer");
}

void
v_quantity_map (struct validation *v, vpath_t at, const struct value *list)
{
  for (value_each (list, m))
    v_resource_quantity (v, KEY (at, m->key), m->key, m->value);
}

void
v_conditions (struct validation *v, vpath_t at, const struct value *conditions)
{
  for (size_t i = 0; i < value_count (conditions); i++) {
    const char *type = v_string (value_at (conditions, i), "type");
    v_check_name (v, CHILD (INDEX (at, i), "type"), type, name_qualified);
    if (v_seen (conditions, i, "type", type))
      v_duplicate (v, CHILD (INDEX (at, i), "type"), type);
  }
}

bool
v_ip (const char *s, int *ret_family)
{
  uint8_t address[16];
  bool four = inet_pton (AF_INET, s, address) == 1, six = !four && inet_pton (AF_INET6, s, address) == 1;
  if (ret_family && (four || six))
    *ret_family = four ? 4 : 6;
  return four || six;
}

bool
v_cidr (const char *s, int *ret_family)
{
  char address[64];
  const char *slash = strchr (s, '/');
  int family = 0;
  if (!slash || (size_t) (slash - s) >= sizeof address || !slash[1] || strlen (slash + 1) > 3
      || strspn (slash + 1, "0123456789") != strlen (slash + 1))
    return false;
  memcpy (address, s, (size_t) (slash - s));
  address[slash - s] = 0;
  if (!v_ip (address, &family) || strtol (slash + 1, NULL, 10) > (family == 4 ? 32 : 128))
    return false;
  if (ret_family)
    *ret_family = family;
  return true;
}

void
v_non_special_ip (struct validation *v, vpath_t at, const char *ip)
{
  uint8_t b[16];
  bool four = inet_pton (AF_INET, ip, b) == 1, six = !four && inet_pton (AF_INET6, ip, b) == 1;
  static const uint8_t zero[16], loopback[16] = { [15] = 1 };
  if (!four && !six) {
    v_invalid_string (v, at, ip, "must be a valid IP address");
    return;
  }
  if (memcmp (b, zero, four ? 4 : 16) == 0)
    v_invalid_string (v, at, ip, "may not be unspecified (0.0.0.0 or ::)");
  if (four ? b[0] == 127 : memcmp (b, loopback, 16) == 0)
    v_invalid_string (v, at, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (four ? b[0] == 169 && b[1] == 254 : b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
    v_invalid_string (v, at, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (four ? b[0] == 224 && b[1] == 0 && b[2] == 0 : b[0] == 0xff && (b[1] & 0x0f) == 2)
    v_invalid_string (v, at, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

static bool
is_percent (const char *s)
{
  size_t n = strlen (s);
  return n >= 2 && s[n - 1] == '%' && strspn (s, "0123456789") == n - 1;
}

int64_t
v_int_or_percent_value (const struct value *n)
{
  return value_is (n, VALUE_STRING) ? strtol (n->s, NULL, 10) : value_as_int (n, 0);
}

void
v_int_or_percent (struct validation *v, vpath_t at, const struct value *n, bool max_100)
{
  if (!value_is (n, VALUE_STRING)) {
    v_nonnegative (v, at, n);
    return;
  }
  if (!is_percent (n->s))
    v_invalid_string (v, at, n->s, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                                   "regex used for validation is '[0-9]+%')");
  else if (max_100 && v_int_or_percent_value (n) > 100)
    v_invalid_string (v, at, n->s, "must not be greater than 100%");
}

void
v_load_balancer_status (struct validation *v, vpath_t at, const struct value *status)
{
  const struct value *ingress = value_get (status, "ingress");
  for (size_t i = 0; i < value_count (ingress); i++) {
    vpath_t here = INDEX (CHILD (at, "ingress"), i);
    const char *ip = v_string (value_at (ingress, i), "ip"), *host = v_string (value_at (ingress, i), "hostname");
    if (ip[0] && !v_ip (ip, NULL))
      v_invalid_string (v, CHILD (here, "ip"), ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    if (host[0]) {
      v_check_name (v, CHILD (here, "hostname"), host, name_dns1123_subdomain);
      if (v_ip (host, NULL))
        v_invalid_string (v, CHILD (here, "hostname"), host, "must be a DNS name, not an IP address");
    }
  }
}

/* ---- names ---- */

static const char *
no_chdir_prefix (const char *s)
{
  if (strcmp (s, ".") == 0)
    return "must not be '.'";
  if (strcmp (s, "..") == 0)
    return "must not be '..'";
  return strncmp (s, "..", 2) == 0 ? "must not start with '..'" : NULL;
}

const char *
name_config_map_key (const char *s)
{
  size_t n = strlen (s);
  if (n > 253)
    return "must be no more than 253 bytes";
  for (size_t i = 0; i < n || n == 0; i++)
    if (n == 0 || !(isalnum ((unsigned char) s[i]) || strchr ("-._", s[i])))
      return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
             "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
  return no_chdir_prefix (s);
}

const char *
name_env_var (const char *s)
{
  for (const char *p = s; *p || p == s; p++)
    if (*p < 0x20 || *p > 0x7e || *p == '=')
      return "a valid environment variable name must consist only of printable ASCII characters other than '='";
  return NULL;
}

const char *
name_port (const char *s)
{
  size_t n = strlen (s);
  bool letter = false;
  if (n > 15)
    return "must be no more than 15 characters";
  for (size_t i = 0; i < n || n == 0; i++) {
    if (n == 0 || !(islower ((unsigned char) s[i]) || isdigit ((unsigned char) s[i]) || s[i] == '-'))
      return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    letter |= islower ((unsigned char) s[i]) != 0;
  }
  if (!letter)
    return "must contain at least one letter (a-z)";
  if (strstr (s, "--"))
    return "must not contain consecutive hyphens";
  return s[0] == '-' || s[n - 1] == '-' ? "must not begin or end with a hyphen" : NULL;
}

const char *
name_http_header (const char *s)
{
  for (const char *p = s; *p || p == s; p++)
    if (!(isalnum ((unsigned char) *p) || *p == '-'))
      return "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
             "'[-A-Za-z0-9]+')";
  return NULL;
}

const char *
name_path_segment (const char *s)
{
  if (strcmp (s, ".") == 0)
    return "may not be '.'";
  if (strcmp (s, "..") == 0)
    return "may not be '..'";
  if (strchr (s, '/'))
    return "may not contain '/'";
  return strchr (s, '%') ? "may not contain '%'" : NULL;
}

const char *
name_wildcard_subdomain (const char *s)
{
  if (s[0] != '*' || s[1] != '.' || name_dns1123_subdomain (s + 2))
    return "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case "
           "alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for "
           "validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
  return NULL;
}
