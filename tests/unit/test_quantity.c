#include "tests/lib/test.h"

#include "schemas/machinery.h"

static void
test_quantity_format__is_canonical (void **state)
{
  static const struct {
    const char *in, *out;
    int64_t value, milli;
  } rows[] = {
    {"0", "0", 0, 0},
    {"100m", "100m", 1, 100},
    {"0.5", "500m", 1, 500},
    {"1500m", "1500m", 2, 1500},
    {"1000m", "1", 1, 1000},
    {"2.50", "2500m", 3, 2500},
    {"1024Mi", "1Gi", 1073741824, 1073741824000},
    {"1.5Gi", "1536Mi", 1610612736, 1610612736000},
    {"0.5Mi", "512Ki", 524288, 524288000},
    {"0.1Ki", "102400m", 103, 102400},
    {"100Ki", "100Ki", 102400, 102400000},
    {"1023", "1023", 1023, 1023000},
    {"1e3", "1e3", 1000, 1000000},
    {"12E2", "1200", 1200, 1200000},
    {"1E", "1E", 1000000000000000000, INT64_MAX},
    {"10E", "10E", INT64_MAX, INT64_MAX},
    {"100000", "100k", 100000, 100000000},
    {"-1.5k", "-1500", -1500, -1500000},
    {"1n", "1n", 1, 1},
    {"0.0000000001", "1n", 1, 1},
    {"1.", "1", 1, 1000},
    {".5", "500m", 1, 500},
    {"+3", "3", 3, 3000},
    {"8Ei", "8Ei", INT64_MAX, INT64_MAX},
    {"999999999999999999999999", "9223372036854775807", INT64_MAX, INT64_MAX},
    {"1e100000", "", INT64_MAX, INT64_MAX},
    {"1e-100000", "1e-9", 1, 1},
    {"00012", "12", 12, 12000},
  };
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct quantity q;
    char out[64];
    assert_int_equal (quantity_parse (rows[i].in, &q, NULL), 0);
    if (rows[i].out[0])
      assert_string_equal (quantity_format (&q, out), rows[i].out);
    assert_int_equal (quantity_value (&q), rows[i].value);
    assert_int_equal (quantity_milli_value (&q), rows[i].milli);
  }
}

static void
test_quantity_parse__malformed_in_upstreams_words (void **state)
{
  static const char *const format[] = {"", "1.2.3", "a", "1 ", " 1", "1m1x", "1,5", "1M!"};
  static const char *const suffix[] = {"--1", "1mm", "1i", "1ee5", "1k5", "1E+"};
  struct quantity q;
  struct err err;
  (void) state;
  for (size_t i = 0; i < sizeof format / sizeof format[0]; i++) {
    assert_int_equal (quantity_parse (format[i], &q, &err), ERR_PARSE);
    assert_non_null (strstr (err.text, "quantities must match the regular expression"));
  }
  for (size_t i = 0; i < sizeof suffix / sizeof suffix[0]; i++)
    assert_int_equal (quantity_parse (suffix[i], &q, &err), ERR_PARSE);
}

static void
test_quantity_of__takes_numbers_and_strings (void **state)
{
  struct arena a AUTO_ARENA = {0};
  (void) state;
  assert_int_equal (quantity_of (value_int (&a, 2), true), 2000);
  assert_int_equal (quantity_of (value_float (&a, 0.25), true), 250);
  assert_int_equal (quantity_of (value_string (&a, "64Mi"), false), 67108864);
  assert_int_equal (quantity_of (value_string (&a, "x"), false), 0);
  assert_int_equal (quantity_of (NULL, false), 0);
}

static void
test_names__give_upstreams_messages (void **state)
{
  char long_name[300];
  (void) state;
  memset (long_name, 'a', sizeof long_name);
  long_name[254] = 0;
  assert_null (name_dns1123_label ("a-1"));
  assert_string_equal (name_dns1123_label ("A"),
                       "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
                       "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
  assert_string_equal (name_dns1123_label ("a.b"), "must not contain dots");
  assert_string_equal (name_dns1123_label (long_name), "must be no more than 63 characters");
  assert_null (name_dns1123_subdomain ("a.b-c.d"));
  assert_string_equal (name_dns1123_subdomain ("a..b"),
                       "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
                       "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                       "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  assert_string_equal (name_dns1123_subdomain (long_name), "must be no more than 253 characters");
  assert_null (name_dns1035_label ("a1"));
  assert_string_equal (name_dns1035_label ("1a"),
                       "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and "
                       "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
                       "'[a-z]([-a-z0-9]*[a-z0-9])?')");
  assert_null (name_qualified ("app.kubernetes.io/Name_1"));
  assert_string_equal (name_qualified ("/a"), "prefix part must be non-empty");
  assert_string_equal (name_qualified ("a/"), "name part must be non-empty");
  assert_string_equal (name_qualified ("-"),
                       "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                       "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                       "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')");
  assert_string_equal (name_qualified ("a/b/c"),
                       "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                       "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                       "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
  assert_null (name_label_value (""));
  assert_string_equal (name_label_value ("a b"),
                       "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
                       "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                       "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_quantity_format__is_canonical),
    cmocka_unit_test (test_quantity_parse__malformed_in_upstreams_words),
    cmocka_unit_test (test_quantity_of__takes_numbers_and_strings),
    cmocka_unit_test (test_names__give_upstreams_messages),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
