#include "initdb/encoding.h"
#include "initdb/scripts.h"
#include "initdb/text.h"

namespace calf::initdb {
namespace {

// Fixed numbers of PostgreSQL's catalogs (pg_authid.dat, pg_database.dat).
constexpr std::string_view kBootstrapSuperuser = "10";
constexpr std::string_view kTemplate0 = "4";
constexpr std::string_view kPostgres = "5";
constexpr std::string_view kRelationKinds =
    "('r', 'v', 'm', 'S')";  // tables, views, materialized views, sequences

// A script of statements, ended as `--single -j` wants them.
class Script {
 public:
  void statement(std::string_view sql) { text_.append(sql).append(";\n\n"); }
  void file(std::string_view contents) { text_.append(contents).append("\n\n"); }
  std::string finish() && { return std::move(text_); }

 private:
  std::string text_;
};

void authorization(Script& script, const SqlFacts& facts) {
  // Passwords are seen through views only.
  script.statement("REVOKE ALL ON pg_authid FROM public");
  if (facts.password) {
    script.statement("ALTER USER " + sql_identifier(facts.superuser) + " WITH PASSWORD " +
                     sql_literal(*facts.password));
  }
}

// Functions behind operators get a description, unless they have one or the operator is deprecated.
void descriptions(Script& script) {
  script.statement(
      "WITH behind AS (SELECT p.oid AS p_oid, o.oid AS o_oid, oprname"
      " FROM pg_proc p JOIN pg_operator o ON oprcode = p.oid)\n"
      "INSERT INTO pg_description\n"
      "SELECT p_oid, 'pg_proc'::regclass, 0, 'implementation of ' || oprname || ' operator' FROM "
      "behind\n"
      "WHERE NOT EXISTS (SELECT 1 FROM pg_description"
      " WHERE objoid = p_oid AND classoid = 'pg_proc'::regclass)\n"
      "AND NOT EXISTS (SELECT 1 FROM pg_description"
      " WHERE objoid = o_oid AND classoid = 'pg_operator'::regclass AND description LIKE "
      "'deprecated%')");
}

// What pg_import_system_collations() finds in the image, whose C library has C and C.UTF-8 and
// whose ICU has the root collation only. The function itself asks the program `locale`, which a
// guest cannot run.
void collations(Script& script, const SqlFacts& facts) {
  script.statement(
      "UPDATE pg_collation SET collversion = pg_collation_actual_version(oid) WHERE collname = "
      "'unicode'");
  if (facts.encoding == kUtf8)
    script.statement("CREATE COLLATION pg_catalog.\"C.utf8\" (LOCALE = 'C.utf8')");
  script.statement("CREATE COLLATION pg_catalog.\"und-x-icu\" (PROVIDER = icu, LOCALE = 'und')");
  script.statement("COMMENT ON COLLATION pg_catalog.\"und-x-icu\" IS 'und'");
}

void default_privileges(Script& script, const SqlFacts& facts) {
  const std::string readable = sql_literal("=r/" + sql_identifier(facts.superuser));
  script.statement("UPDATE pg_class SET relacl = (SELECT array_agg(a.acl) FROM (SELECT " +
                   readable +
                   " AS acl UNION SELECT unnest(pg_catalog.acldefault("
                   "CASE WHEN relkind = 'S' THEN 's' ELSE 'r' END::\"char\", " +
                   std::string(kBootstrapSuperuser) + "::oid))) AS a)\nWHERE relkind IN " +
                   std::string(kRelationKinds) + " AND relacl IS NULL");
  script.statement("GRANT USAGE ON SCHEMA pg_catalog, public TO PUBLIC");
  script.statement("REVOKE ALL ON pg_largeobject FROM PUBLIC");
}

// The privileges as they are now, so that pg_dump can tell later changes from them.
void initial_privileges(Script& script) {
  const std::string insert =
      "INSERT INTO pg_init_privs (objoid, classoid, objsubid, initprivs, privtype)\nSELECT ";
  const std::string kinds(kRelationKinds);
  script.statement(insert +
                   "oid, 'pg_class'::regclass, 0, relacl, 'i' FROM pg_class"
                   " WHERE relacl IS NOT NULL AND relkind IN " +
                   kinds);
  script.statement(insert +
                   "c.oid, 'pg_class'::regclass, a.attnum, a.attacl, 'i'"
                   " FROM pg_class c JOIN pg_attribute a ON c.oid = a.attrelid"
                   " WHERE a.attacl IS NOT NULL AND c.relkind IN " +
                   kinds);
  constexpr std::pair<std::string_view, std::string_view> kCatalogs[] = {
      {"pg_proc", "proacl"},           {"pg_type", "typacl"},
      {"pg_language", "lanacl"},       {"pg_largeobject_metadata", "lomacl"},
      {"pg_namespace", "nspacl"},      {"pg_foreign_data_wrapper", "fdwacl"},
      {"pg_foreign_server", "srvacl"},
  };
  for (const auto& [catalog, privileges] : kCatalogs) {
    const std::string table(catalog), column(privileges);
    script.statement(insert + "oid, '" + table + "'::regclass, 0, " + column + ", 'i' FROM " +
                     table + " WHERE " + column + " IS NOT NULL");
  }
}

void information_schema(Script& script, const SqlFiles& files) {
  script.file(files.information_schema);
  // The standard's form of a version: 18.06.0000
  script.statement(
      "UPDATE information_schema.sql_implementation_info SET character_value ="
      " (SELECT to_char(v / 10000, 'FM00') || '.' || to_char(v % 10000, 'FM00') || '.0000'"
      " FROM CAST(current_setting('server_version_num') AS int4) AS v)\n"
      "WHERE implementation_info_name = 'DBMS VERSION'");
  script.statement(
      "COPY information_schema.sql_features"
      " (feature_id, feature_name, sub_feature_id, sub_feature_name, is_supported, comments) "
      "FROM " +
      sql_literal(files.sql_features_path));
}

// Copying files is cheaper than logging every page, and a checkpoint costs nothing here. The
// numbers are fixed so that pg_upgrade finds them equal everywhere.
void databases(Script& script) {
  script.statement("CREATE DATABASE template0 IS_TEMPLATE = true ALLOW_CONNECTIONS = false OID = " +
                   std::string(kTemplate0) + " STRATEGY = file_copy");
  // Nothing in template0 depends on a collation, so a database made from it need not care for its
  // version.
  script.statement("UPDATE pg_database SET datcollversion = NULL WHERE datname = 'template0'");
  script.statement(
      "UPDATE pg_database SET datcollversion = pg_database_collation_actual_version(oid) WHERE "
      "datname = 'template1'");
  script.statement("REVOKE CREATE, TEMPORARY ON DATABASE template1 FROM public");
  script.statement("REVOKE CREATE, TEMPORARY ON DATABASE template0 FROM public");
  script.statement("COMMENT ON DATABASE template0 IS 'unmodifiable empty database'");
  script.statement("VACUUM pg_database");
  script.statement("CREATE DATABASE postgres OID = " + std::string(kPostgres) +
                   " STRATEGY = file_copy");
  script.statement("COMMENT ON DATABASE postgres IS 'default administrative connection database'");
}

}  // namespace

std::string post_bootstrap_script(const SqlFiles& files, const SqlFacts& facts) {
  Script script;
  authorization(script, facts);
  script.file(files.system_constraints);
  script.file(files.system_functions);
  // What is made from here on can be dropped by whoever owns it.
  script.statement("SELECT pg_stop_making_pinned_objects()");
  script.file(files.system_views);
  descriptions(script);
  collations(script, facts);
  script.file(files.snowball_create);
  default_privileges(script, facts);
  initial_privileges(script);
  information_schema(script, files);
  script.statement("CREATE EXTENSION plpgsql");
  script.statement("CREATE EXTENSION calf");
  // In this order, so that the statistics are frozen, too.
  script.statement("ANALYZE");
  script.statement("VACUUM FREEZE");
  databases(script);
  return std::move(script).finish();
}

}  // namespace calf::initdb
