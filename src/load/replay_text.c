/*
 * replay_text.c
 *	  From a text of pg_stat_statements to a script.
 *
 * The script is that text, with a variable and its type in the place of each parameter, and with the
 * schemas of tables, functions and types, since the sessions of a test may have another search_path.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pg_list.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "load/replay.h"

/* Something to write in the place of so many bytes of the text. */
typedef struct Edit
{
	int at;
	int length;
	char *text;
} Edit;

typedef struct Edits
{
	const Replay *replay;
	char *const *stand_ins;
	List *ctes; /* names, of all levels */
	int n;
	int room;
	Edit *edits;
} Edits;

static bool
is_word(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/* Takes a word off the end of text[0 .. length), and space before it; the length without, or -1. */
static int
without_word(const char *text, int length, const char *word)
{
	int n = (int) strlen(word);

	if (length < n || pg_strncasecmp(text + length - n, word, n) != 0)
		return -1;
	length -= n;
	if (length > 0 && (is_word(text[length - 1]) || strchr(".\"", text[length - 1]) != NULL))
		return -1;
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	return length;
}

/* Where the name of a type begins that ends here, as in interval '1 day'; -1 if there is none. */
static int
type_begin(const char *text, int length)
{
	static const char *const types[] = { "interval",  "date",        "time",
										 "timestamp", "timestamptz", "timetz" };
	int end = without_word(text, length, "zone");
	int with;

	if (end >= 0 && (end = without_word(text, end, "time")) >= 0)
	{
		with = without_word(text, end, "with");
		end = with >= 0 ? with : without_word(text, end, "without");
		if (end < 0)
			return -1;
	}
	else
		end = length;
	for (int i = 0; i < lengthof(types); i++)
		if (without_word(text, end, types[i]) >= 0)
			return end - (int) strlen(types[i]);
	return -1;
}

/*
 * The constant of interval '1 day' has become a parameter, and interval $1 can't be parsed.  It says the
 * same as $1::interval.
 */
char *
replay_repair(const char *text)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = text; *p != '\0';)
	{
		int length = 0;
		int end = out.len;
		int begin;

		if (*p == '$' && isdigit((unsigned char) p[1]) && (p == text || !is_word(p[-1])))
			for (length = 2; isdigit((unsigned char) p[length]);)
				length++;
		if (length == 0)
		{
			appendStringInfoChar(&out, *p++);
			continue;
		}
		while (end > 0 && isspace((unsigned char) out.data[end - 1]))
			end--;
		begin = type_begin(out.data, end);
		if (begin < 0)
			appendBinaryStringInfo(&out, p, length);
		else
		{
			char *type = pnstrdup(out.data + begin, end - begin);

			out.len = begin;
			appendStringInfo(&out, "%.*s::%s", length, p, type);
		}
		p += length;
	}
	return out.data;
}

static void
add_edit(Edits *edits, int at, int length, char *text)
{
	if (edits->n == edits->room)
	{
		edits->room = Max(16, edits->room * 2);
		edits->edits = edits->edits == NULL ? palloc(sizeof(Edit) * edits->room)
											: repalloc(edits->edits, sizeof(Edit) * edits->room);
	}
	edits->edits[edits->n++] = (Edit){ at, length, text };
}

static bool
ends_with_word(const char *text, int length, const char *word)
{
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	return without_word(text, length, word) >= 0;
}

/* Where the text has a cast, it is the one; in some places an expression has to be in parentheses. */
static void
edit_param(Edits *edits, const ParamRef *param)
{
	const char *text = edits->replay->text;
	const char *before = text + param->location;
	const char *behind = before + 1;
	const char *next;
	char *stand_in = edits->stand_ins[param->number - 1];

	while (isdigit((unsigned char) *behind))
		behind++;
	for (next = behind; isspace((unsigned char) *next);)
		next++;
	if (strncmp(behind, "::", 2) == 0 && stand_in[0] == ':' && strstr(stand_in, "::") != NULL)
		stand_in = pnstrdup(stand_in, strstr(stand_in, "::") - stand_in);
	if (*next == '[' || *next == '.' || ends_with_word(text, param->location, "first") ||
		ends_with_word(text, param->location, "next"))
		stand_in = psprintf("(%s)", stand_in);
	add_edit(edits, param->location, (int) (behind - before),
			 psprintf("%s%s%s", before > text && before[-1] == ':' ? " " : "", stand_in,
					  is_word(*behind) ? " " : ""));
}

/* Puts the schema before a name, unless everybody finds it. */
static void
qualify(Edits *edits, int location, Oid schema)
{
	if (location >= 0 && OidIsValid(schema) && schema != PG_CATALOG_NAMESPACE)
		add_edit(edits, location, 0, psprintf("%s.", quote_identifier(get_namespace_name(schema))));
}

static void
edit_relation(Edits *edits, RangeVar *relation)
{
	Oid oid;
	ListCell *cell;

	if (relation->schemaname != NULL)
		return;
	foreach (cell, edits->ctes)
		if (strcmp(lfirst(cell), relation->relname) == 0)
			return;
	oid = RangeVarGetRelid(relation, NoLock, true);
	if (OidIsValid(oid))
		qualify(edits, relation->location, get_rel_namespace(oid));
}

static void
edit_type(Edits *edits, TypeName *name)
{
	Type type = list_length(name->names) == 1 ? LookupTypeName(NULL, name, NULL, true) : NULL;

	if (type == NULL)
		return;
	qualify(edits, name->location, ((Form_pg_type) GETSTRUCT(type))->typnamespace);
	ReleaseSysCache(type);
}

/* The function that is called at a place of the text: analysis has found out which. */
typedef struct Call
{
	int location;
	Oid function;
} Call;

static bool
find_call(Node *node, void *arg)
{
	Call *call = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_call, arg, 0);
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->location == call->location &&
		((FuncExpr *) node)->funcformat != COERCE_IMPLICIT_CAST)
		call->function = ((FuncExpr *) node)->funcid;
	if (IsA(node, Aggref) && ((Aggref *) node)->location == call->location)
		call->function = ((Aggref *) node)->aggfnoid;
	if (IsA(node, WindowFunc) && ((WindowFunc *) node)->location == call->location)
		call->function = ((WindowFunc *) node)->winfnoid;
	return OidIsValid(call->function) || expression_tree_walker(node, find_call, arg);
}

static void
edit_function(Edits *edits, const FuncCall *function)
{
	Call call = { function->location, InvalidOid };

	if (list_length(function->funcname) == 1 && find_call((Node *) edits->replay->query, &call))
		qualify(edits, function->location, get_func_namespace(call.function));
}

static bool
find_ctes(Node *node, void *arg)
{
	Edits *edits = arg;

	if (node == NULL)
		return false;
	if (IsA(node, CommonTableExpr))
		edits->ctes = lappend(edits->ctes, ((CommonTableExpr *) node)->ctename);
	return raw_expression_tree_walker(node, find_ctes, arg);
}

static bool
find_edits(Node *node, void *arg)
{
	Edits *edits = arg;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_ParamRef:
			edit_param(edits, (ParamRef *) node);
			return false;
		case T_RangeVar:
			edit_relation(edits, (RangeVar *) node);
			break;
		case T_TypeName:
			edit_type(edits, (TypeName *) node);
			break;
		case T_FuncCall:
			edit_function(edits, (FuncCall *) node);
			break;
		case T_LockingClause:
			/* FOR UPDATE OF names what is in FROM. */
			return false;
		default:
			break;
	}
	return raw_expression_tree_walker(node, find_edits, arg);
}

static int
compare_edits(const void *a, const void *b)
{
	return ((const Edit *) a)->at - ((const Edit *) b)->at;
}

char *
replay_script(const Replay *replay, char *const *stand_ins)
{
	Edits edits = { .replay = replay, .stand_ins = stand_ins };
	StringInfoData out;
	int at = 0;

	(void) find_ctes(replay->raw->stmt, &edits);
	(void) find_edits(replay->raw->stmt, &edits);
	if (edits.n > 0)
		qsort(edits.edits, edits.n, sizeof(Edit), compare_edits);
	initStringInfo(&out);
	for (int i = 0; i < edits.n; i++)
	{
		const Edit *edit = &edits.edits[i];

		/* A node may be in the tree twice. */
		if (edit->at < at || (i > 0 && edit->at == edits.edits[i - 1].at))
			continue;
		appendBinaryStringInfo(&out, replay->text + at, edit->at - at);
		appendStringInfoString(&out, edit->text);
		at = edit->at + edit->length;
	}
	appendStringInfoString(&out, replay->text + at);
	return out.data;
}
