// PostgreSQL's keywords: pg_get_keywords().
#include <algorithm>
#include <string_view>

#include "sqlite/functions.h"
#include "sqlite/virtual_tables.h"

namespace calf::sqlite {
namespace {

struct Keywords {
  char category;
  bool bare_label;
  std::string_view words;
};

// Those of version 18.
constexpr Keywords kKeywords[] = {
    {'C', false, "char character precision"},
    {'C', true,
     "between bigint bit boolean coalesce dec decimal exists extract float greatest "
     "grouping inout int integer interval json json_array json_arrayagg json_exists "
     "json_object json_objectagg json_query json_scalar json_serialize json_table "
     "json_value least merge_action national nchar none normalize nullif numeric out "
     "overlay position real row setof smallint substring time timestamp treat trim values "
     "varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces "
     "xmlparse xmlpi xmlroot xmlserialize xmltable"},
    {'R', false,
     "array as create except fetch for from grant group having intersect into limit offset "
     "on order returning to union where window with"},
    {'R', true,
     "all analyse analyze and any asc asymmetric both case cast check collate column "
     "constraint current_catalog current_date current_role current_time current_timestamp "
     "current_user default deferrable desc distinct do else end false foreign in initially "
     "lateral leading localtime localtimestamp not null only or placing primary references "
     "select session_user some symmetric system_user table then trailing true unique user "
     "using variadic when"},
    {'T', false, "isnull notnull overlaps"},
    {'T', true,
     "authorization binary collation concurrently cross current_schema freeze full ilike "
     "inner is join left like natural outer right similar tablesample verbose"},
    {'U', false, "day filter hour minute month over second varying within without year"},
    {'U', true,
     "abort absent absolute access action add admin after aggregate also alter always "
     "asensitive assertion assignment at atomic attach attribute backward before begin "
     "breadth by cache call called cascade cascaded catalog chain characteristics "
     "checkpoint class close cluster columns comment comments commit committed compression "
     "conditional configuration conflict connection constraints content continue "
     "conversion copy cost csv cube current cursor cycle data database deallocate declare "
     "defaults deferred definer delete delimiter delimiters depends depth detach "
     "dictionary disable discard document domain double drop each empty enable encoding "
     "encrypted enforced enum error escape event exclude excluding exclusive execute "
     "explain expression extension external family finalize first following force format "
     "forward function functions generated global granted groups handler header hold "
     "identity if immediate immutable implicit import include including increment indent "
     "index indexes inherit inherits inline input insensitive insert instead invoker "
     "isolation keep key keys label language large last leakproof level listen load local "
     "location lock locked logged mapping match matched materialized maxvalue merge method "
     "minvalue mode move name names nested new next nfc nfd nfkc nfkd no normalized "
     "nothing notify nowait nulls object objects of off oids old omit operator option "
     "options ordinality others overriding owned owner parallel parameter parser partial "
     "partition passing password path period plan plans policy preceding prepare prepared "
     "preserve prior privileges procedural procedure procedures program publication quote "
     "quotes range read reassign recursive ref referencing refresh reindex relative "
     "release rename repeatable replace replica reset restart restrict return returns "
     "revoke role rollback rollup routine routines rows rule savepoint scalar schema "
     "schemas scroll search security sequence sequences serializable server session set "
     "sets share show simple skip snapshot source sql stable standalone start statement "
     "statistics stdin stdout storage stored strict string strip subscription support "
     "sysid system tables tablespace target temp template temporary text ties transaction "
     "transform trigger truncate trusted type types uescape unbounded uncommitted "
     "unconditional unencrypted unknown unlisten unlogged until update vacuum valid "
     "validate validator value version view views virtual volatile whitespace work wrapper "
     "write xml yes zone"},
};

const char* meaning_of(char category) {
  switch (category) {
    case 'C':
      return "unreserved (cannot be function or type name)";
    case 'T':
      return "reserved (can be function or type name)";
    case 'R':
      return "reserved";
    default:
      return "unreserved";
  }
}

std::unique_ptr<RowSource> keywords(const Call&) {
  std::vector<std::vector<Datum>> rows;
  for (const Keywords& group : kKeywords) {
    for (std::string_view rest = group.words; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
      rows.push_back({Datum::of(word), Datum::of(std::string_view(&group.category, 1)),
                      Datum::of_bool(group.bare_label), Datum::of(meaning_of(group.category)),
                      Datum::of(group.bare_label ? "can be bare label" : "requires AS")});
    }
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a[0].text < b[0].text; });
  return make_rows(std::move(rows));
}

}  // namespace

void add_keyword_functions(FunctionTable& t) {
  t.rows("pg_get_keywords() record", keywords,
         {{"word", oid::kText},
          {"catcode", oid::kChar},
          {"barelabel", oid::kBool},
          {"catdesc", oid::kText},
          {"baredesc", oid::kText}});
}

}  // namespace calf::sqlite
