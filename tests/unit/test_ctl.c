#include "tests/lib/test.h"

#include "base/file.h"
#include "services/ctl/ctl.h"

static struct ctl c;

static int
setup (void **state)
{
  (void) state;
  memset (&c, 0, sizeof c);
  arena_init (&c.arena, 0);
  c.verb = &ctl_verbs[0];
  return 0;
}

static int
teardown (void **state)
{
  (void) state;
  arena_done (&c.arena);
  return 0;
}

static int
parse (const char *allowed, const char *line, char **words, int *n, struct err *err)
{
  char *text = arena_strdup (&c.arena, line);
  *n = 0;
  for (char *p = text; p && *p;) {
    words[(*n)++] = p;
    p += strcspn (p, " ");
    if (*p)
      *p++ = 0;
  }
  return ctl_flags_parse (&c, allowed, n, words, err);
}

static void
test_ctl_flags_parse__forms_of_flags_are_taken_out (void **state)
{
  char *words[16];
  int n;
  struct err err = {0};
  (void) state;
  assert_int_equal (parse ("namespace output watch", "pods -n kube-system a --output=yaml -w b", words, &n, &err), 0);
  assert_int_equal (n, 3);
  assert_string_equal (words[2], "b");
  assert_string_equal (c.flags.namespace_, "kube-system");
  assert_string_equal (c.flags.output, "yaml");
  assert_true (c.flags.watch);
  assert_int_equal (parse ("namespace stdin tty", "-it -nx pod -- ls -l -n 3", words, &n, &err), 0);
  assert_int_equal (n, 5);
  assert_string_equal (words[2], "-l");
  assert_string_equal (c.flags.namespace_, "x");
  assert_true (c.flags.stdin_ && c.flags.tty);
}

static void
test_ctl_flags_parse__wrong_flags_are_named (void **state)
{
  static const struct {
    const char *line, *text;
  } rows[] = {
    {"--nope", "unknown flag --nope for \"get\""},
    {"-f x", "unknown flag -f for \"get\""},
    {"-n", "flag -n needs a value"},
    {"--watch=maybe", "--watch: \"maybe\" is not true or false"},
  };
  char *words[16];
  int n;
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct err err = {0};
    assert_int_equal (parse ("namespace watch", rows[i].line, words, &n, &err), ERR_INVALID);
    assert_string_equal (err.text, rows[i].text);
  }
}

static void
test_ctl_resource_find__names_of_a_type (void **state)
{
  static const struct {
    const char *word, *namespace_, *name, *path;
  } rows[] = {
    {"po", "x", "a", "/api/v1/namespaces/x/pods/a"},
    {"Pod", NULL, NULL, "/api/v1/pods"},
    {"deploy", "x", NULL, "/apis/apps/v1/namespaces/x/deployments"},
    {"deployments.apps", "x", "a b", "/apis/apps/v1/namespaces/x/deployments/a%20b"},
    {"deployments.v1.apps", "x", "a", "/apis/apps/v1/namespaces/x/deployments/a"},
    {"nodes", "x", "n1", "/api/v1/nodes/n1"},
    {"events", "x", NULL, "/api/v1/namespaces/x/events"},
    {"hpa", "x", NULL, "/apis/autoscaling/v2/namespaces/x/horizontalpodautoscalers"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct ctl_resource r;
    struct err err = {0};
    assert_int_equal (ctl_resource_find (&c, rows[i].word, &r, &err), 0);
    assert_string_equal (ctl_resource_path (&c, &r, rows[i].namespace_, rows[i].name), rows[i].path);
  }
}

static void
test_ctl_query__leaves_out_what_is_not_given (void **state)
{
  (void) state;
  assert_string_equal (ctl_query (&c, (const char *const[]){"a", NULL, "b", "x=y,z", "c", "1", NULL}), "?b=x%3Dy%2Cz&c=1");
  assert_string_equal (ctl_query (&c, (const char *const[]){"a", NULL, NULL}), "");
}

static int
configure (const char *text, struct err *err)
{
  char dir[] = "/tmp/test_ctl.XXXXXX";
  char *path;
  int r;
  assert_non_null (mkdtemp (dir));
  path = arena_printf (&c.arena, "%s/config", dir);
  assert_int_equal (file_write_atomic (path, text, strlen (text), 0600, err), 0);
  c.flags.kubeconfig = path;
  r = ctl_config (&c, err);
  assert_int_equal (file_remove_tree (dir, NULL), 0);
  return r;
}

static void
test_ctl_config__context_is_followed (void **state)
{
  struct err err = {0};
  (void) state;
  assert_int_equal (configure ("current-context: one\n"
                               "contexts:\n- {name: one, context: {cluster: c1, user: u1, namespace: n1}}\n"
                               "clusters:\n- {name: c1, cluster: {server: 'https://h:1/', certificate-authority-data: Y2E=, insecure-skip-tls-verify: true}}\n"
                               "users:\n- {name: u1, user: {token: t1, client-certificate: sub/cert.pem}}\n",
                               &err),
                    0);
  assert_string_equal (c.server, "https://h:1");
  assert_string_equal (c.tls.ca_pem, "ca");
  assert_string_equal (c.token, "t1");
  assert_string_equal (ctl_namespace (&c), "n1");
  assert_true (c.tls.insecure_skip_verify);
  assert_non_null (strstr (c.tls.cert_file, "/sub/cert.pem"));
}

static void
test_ctl_config__what_is_missing_is_named (void **state)
{
  struct err err = {0};
  (void) state;
  assert_int_equal (configure ("current-context: two\ncontexts: []\n", &err), ERR_NOT_FOUND);
  assert_non_null (strstr (err.text, "there is no context \"two\""));
  assert_int_equal (configure ("current-context: one\ncontexts:\n- {name: one, context: {cluster: c1}}\nclusters:\n"
                               "- {name: c1, cluster: {server: 'https://h', certificate-authority-data: '*'}}\n",
                               &err),
                    ERR_PARSE);
}

static void
test_ctl_refused__text_is_kubectls (void **state)
{
  struct buf body AUTO_BUF = BUF_INIT;
  struct err err = {0};
  (void) state;
  buf_append_str (&body, "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"pods \\\"a\\\" not found\"}");
  assert_int_equal (ctl_refused (&c, 404, &body, &err), ERR_NOT_FOUND);
  assert_string_equal (err.text, "Error from server (NotFound): pods \"a\" not found");
  buf_reset (&body);
  buf_append_str (&body, "bad gateway");
  assert_int_equal (ctl_refused (&c, 502, &body, &err), ERR_INVALID);
  assert_string_equal (err.text, "Error from server: status 502: bad gateway");
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST (test_ctl_flags_parse__forms_of_flags_are_taken_out),
      TEST (test_ctl_flags_parse__wrong_flags_are_named),
      TEST (test_ctl_resource_find__names_of_a_type),
      TEST (test_ctl_query__leaves_out_what_is_not_given),
      TEST (test_ctl_config__context_is_followed),
      TEST (test_ctl_config__what_is_missing_is_named),
      TEST (test_ctl_refused__text_is_kubectls),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
