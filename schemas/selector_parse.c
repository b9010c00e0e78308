/* The text of label selectors: the grammar, lexer and messages of k8s.io/apimachinery/pkg/labels/selector.go. */
#include "schemas/selector_internal.h"

enum token { END, IDENTIFIER, COMMA, OPEN, CLOSE, NOT, EQ, EQEQ, NE, GT, LT, IN, NOTIN, BAD };

struct parser {
  struct arena *a;
  const char *p;
  enum token token; /* the next one */
  const char *text; /* its text, NUL-terminated */
  struct err *err;
};

static void
advance (struct parser *s)
{
  static const struct {
    const char *text;
    enum token token;
  } signs[] = {{"==", EQEQ}, {"!=", NE}, {"=", EQ}, {"!", NOT}, {"(", OPEN}, {")", CLOSE}, {",", COMMA}, {">", GT}, {"<", LT}};
  size_t n;
  s->p += strspn (s->p, " \t\r\n");
  if (!*s->p) {
    s->token = END;
    s->text = "";
    return;
  }
  /* the lexer of upstream reads all special characters together, and what they spell must be a token */
  for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
    if (!strncmp (s->p, signs[i].text, strlen (signs[i].text))) {
      s->token = signs[i].token;
      s->text = signs[i].text;
      s->p += strlen (signs[i].text);
      return;
    }
  n = strcspn (s->p, "=!(),>< \t\r\n");
  if (!(s->text = arena_strndup (s->a, s->p, n)))
    s->text = "";
  s->p += n;
  s->token = !strcmp (s->text, "in") ? IN : !strcmp (s->text, "notin") ? NOTIN : IDENTIFIER;
}

/* Where a key or a value is expected, the keywords are names like any other. */
static bool
at_name (const struct parser *s)
{
  return s->token == IDENTIFIER || s->token == IN || s->token == NOTIN;
}

static int
expected (const struct parser *s, const char *what)
{
  return err_set (s->err, ERR_PARSE, "unable to parse requirement: found '%.100s', expected: %s", s->text, what);
}

/* Empty items are allowed, as in "a in (,x)". */
static int
parse_set (struct parser *s, struct value *values)
{
  if (s->token != OPEN)
    return expected (s, "'('");
  advance (s);
  if (s->token == CLOSE) {
    value_append (s->a, values, value_string (s->a, ""));
    advance (s);
    return 0;
  }
  for (;;) {
    bool named = at_name (s);
    value_append (s->a, values, value_string (s->a, named ? s->text : ""));
    if (values->len > SELECTOR_VALUES_MAX)
      return expected (s, "fewer values");
    if (named)
      advance (s);
    if (s->token == CLOSE)
      break;
    if (s->token != COMMA)
      return expected (s, named ? "',' or ')'" : "',', ')' or identifier");
    advance (s);
  }
  advance (s);
  return 0;
}

static int
parse_requirement (struct parser *s, struct selector *sel)
{
  static const enum selector_operator ops[] = {[EQ] = SELECTOR_EQUALS, [EQEQ] = SELECTOR_DOUBLE_EQUALS, [NE] = SELECTOR_NOT_EQUALS,
                                               [GT] = SELECTOR_GREATER, [LT] = SELECTOR_LESS, [IN] = SELECTOR_IN,
                                               [NOTIN] = SELECTOR_NOT_IN};
  struct value *values = value_array (s->a);
  enum selector_operator op = SELECTOR_EXISTS;
  const char *key;
  int r;
  if (s->token == NOT) {
    op = SELECTOR_NOT_EXISTS;
    advance (s);
  }
  if (!at_name (s))
    return expected (s, "identifier");
  key = s->text;
  advance (s);
  if (op == SELECTOR_EXISTS && s->token != END && s->token != COMMA) {
    bool set = s->token == IN || s->token == NOTIN;
    if (s->token < EQ || s->token > NOTIN)
      return expected (s, "in, notin, =, ==, !=, gt, lt");
    op = ops[s->token];
    advance (s);
    if (set) {
      if ((r = parse_set (s, values)))
        return r;
    } else if (s->token == END || s->token == COMMA) {
      value_append (s->a, values, value_string (s->a, ""));
    } else if (at_name (s)) {
      value_append (s->a, values, value_string (s->a, s->text));
      advance (s);
    } else {
      return expected (s, "identifier");
    }
  }
  if ((r = selector_add (s->a, sel, key, op, values, true, s->err)) == ERR_PARSE)
    return err_wrap (s->err, "unable to parse requirement"), ERR_PARSE;
  return r;
}

int
selector_parse_labels (struct arena *a, const char *text, struct selector **ret, struct err *err)
{
  struct parser s = {.a = a, .p = text, .err = err};
  struct selector *sel = selector_new (a);
  if (!sel)
    return err_set (err, ERR_NOMEM, "selector: no room");
  advance (&s);
  while (s.token != END) {
    int r;
    if (!at_name (&s) && s.token != NOT)
      return err_set (err, ERR_PARSE, "found '%.100s', expected: !, identifier, or 'end of string'", s.text);
    if ((r = parse_requirement (&s, sel)))
      return r;
    if (s.token == END)
      break;
    if (s.token != COMMA)
      return err_set (err, ERR_PARSE, "found '%.100s', expected: ',' or 'end of string'", s.text);
    advance (&s);
    if (!at_name (&s) && s.token != NOT)
      return err_set (err, ERR_PARSE, "found '%.100s', expected: identifier after ','", s.text);
  }
  if (!arena_ok (a))
    return err_set (err, ERR_NOMEM, "selector: no room");
  selector_sort (sel);
  *ret = sel;
  return 0;
}
