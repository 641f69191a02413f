// The relations of pg_catalog that clients ask for: their columns. Those of information_schema are
// views over them, in PostgreSQL's SQL.
#include "base/assert.h"
#include "sqlite/catalog.h"

namespace calf::sqlite {
namespace {

// "name type, name type".
Relation table(const char* schema, const char* name, Oid oid, std::string_view columns) {
  Relation relation{.oid = oid, .schema = schema, .name = name, .system = true};
  while (!columns.empty()) {
    const std::size_t comma = std::min(columns.find(','), columns.size());
    std::string_view item = columns.substr(0, comma);
    item.remove_prefix(std::min(item.find_first_not_of(" \n"), item.size()));
    const std::size_t space = item.find(' ');
    std::string_view type = item.substr(space + 1);
    const bool array = type.ends_with("[]");
    if (array) type.remove_suffix(2);
    const TypeInfo* info = find_type(type);
    ASSERT(info != nullptr);
    relation.columns.push_back(
        {.name = std::string(item.substr(0, space)), .type = {array ? info->array : info->oid}});
    columns.remove_prefix(std::min(comma + 1, columns.size()));
  }
  relation.sqlite_name = std::string(schema) + "." + name;
  return relation;
}

Relation view(const char* name, std::string_view columns, const char* sql) {
  Relation relation = table("information_schema", name, oid_of("relation", name), columns);
  relation.kind = 'v';
  relation.view_text = sql;
  // The standard's domains over character strings are varchar to clients.
  for (Column& column : relation.columns) {
    if (column.type.oid == oid::kText) column.type.oid = oid::kVarchar;
  }
  return relation;
}

std::vector<Relation> make() {
  const char* c = "pg_catalog";
  return {
      table(c, "pg_class", 1259,
            "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, "
            "relam oid, relfilenode oid, reltablespace oid, relpages int4, reltuples float4, "
            "relallvisible int4, reltoastrelid oid, relhasindex bool, relisshared bool, "
            "relpersistence char, relkind char, relnatts int2, relchecks int2, relhasrules bool, "
            "relhastriggers bool, relhassubclass bool, relrowsecurity bool, relforcerowsecurity "
            "bool, relispopulated bool, relreplident char, relispartition bool, relrewrite oid, "
            "relfrozenxid xid, relminmxid xid, relacl aclitem[], reloptions text[], relpartbound "
            "pg_node_tree, tableoid oid"),
      table(c, "pg_attribute", 1249,
            "attrelid oid, attname name, atttypid oid, attlen int2, attnum int2, attcacheoff int4, "
            "atttypmod int4, attndims int2, attbyval bool, attalign char, attstorage char, "
            "attcompression char, attnotnull bool, atthasdef bool, atthasmissing bool, attidentity "
            "char, attgenerated char, attisdropped bool, attislocal bool, attinhcount int2, "
            "attcollation oid, attstattarget int2, attacl aclitem[], attoptions text[], "
            "attfdwoptions text[], attmissingval text"),
      table(c, "pg_attrdef", 2604, "oid oid, adrelid oid, adnum int2, adbin pg_node_tree"),
      table(c, "pg_type", 1247,
            "oid oid, typname name, typnamespace oid, typowner oid, typlen int2, typbyval bool, "
            "typtype char, typcategory char, typispreferred bool, typisdefined bool, typdelim "
            "char, typrelid oid, typsubscript regproc, typelem oid, typarray oid, typinput "
            "regproc, typoutput regproc, typreceive regproc, typsend regproc, typmodin regproc, "
            "typmodout regproc, typanalyze regproc, typalign char, typstorage char, typnotnull "
            "bool, typbasetype oid, typtypmod int4, typndims int4, typcollation oid, typdefaultbin "
            "pg_node_tree, typdefault text, typacl aclitem[]"),
      table(c, "pg_namespace", 2615, "oid oid, nspname name, nspowner oid, nspacl aclitem[]"),
      table(c, "pg_index", 2610,
            "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, "
            "indnullsnotdistinct bool, indisprimary bool, indisexclusion bool, indimmediate bool, "
            "indisclustered bool, indisvalid bool, indcheckxmin bool, indisready bool, indislive "
            "bool, indisreplident bool, indkey int2vector, indcollation oidvector, indclass "
            "oidvector, indoption int2vector, indexprs pg_node_tree, indpred pg_node_tree"),
      table(c, "pg_constraint", 2606,
            "oid oid, conname name, connamespace oid, contype char, condeferrable bool, "
            "condeferred bool, conenforced bool, convalidated bool, conrelid oid, contypid oid, "
            "conindid oid, conparentid oid, confrelid oid, confupdtype char, confdeltype char, "
            "confmatchtype char, conislocal bool, coninhcount int2, connoinherit bool, conkey "
            "int2[], confkey int2[], conpfeqop oid[], conppeqop oid[], conffeqop oid[], "
            "confdelsetcols int2[], conexclop oid[], conbin pg_node_tree, conperiod bool"),
      table(c, "pg_description", 2609, "objoid oid, classoid oid, objsubid int4, description text"),
      table(c, "pg_shdescription", 2396, "objoid oid, classoid oid, description text"),
      table(c, "pg_database", 1262,
            "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate "
            "bool, datallowconn bool, dathasloginevt bool, datconnlimit int4, datfrozenxid xid, "
            "datminmxid xid, dattablespace oid, datcollate text, datctype text, datlocale text, "
            "daticulocale text, daticurules text, datcollversion text, datacl aclitem[]"),
      table(c, "pg_roles", 12000,
            "rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, "
            "rolcanlogin bool, rolreplication bool, rolconnlimit int4, rolpassword text, "
            "rolvaliduntil timestamptz, rolbypassrls bool, rolconfig text[], oid oid"),
      table(c, "pg_authid", 1260,
            "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, "
            "rolcreatedb bool, rolcanlogin bool, rolreplication bool, rolbypassrls bool, "
            "rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz"),
      table(c, "pg_user", 12001,
            "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, "
            "usebypassrls bool, passwd text, valuntil timestamptz, useconfig text[]"),
      table(c, "pg_auth_members", 1261,
            "oid oid, roleid oid, member oid, grantor oid, admin_option bool, inherit_option bool, "
            "set_option bool"),
      table(
          c, "pg_settings", 12002,
          "name text, setting text, unit text, category text, short_desc text, extra_desc text, "
          "context text, vartype text, source text, min_val text, max_val text, enumvals text[], "
          "boot_val text, reset_val text, sourcefile text, sourceline int4, pending_restart bool"),
      table(c, "pg_tables", 12003,
            "schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, "
            "hasrules bool, hastriggers bool, rowsecurity bool"),
      table(c, "pg_views", 12004,
            "schemaname name, viewname name, viewowner name, definition text"),
      table(c, "pg_matviews", 12005,
            "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes "
            "bool, ispopulated bool, definition text"),
      table(c, "pg_indexes", 12006,
            "schemaname name, tablename name, indexname name, tablespace name, indexdef text"),
      table(c, "pg_sequence", 2224,
            "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin "
            "int8, seqcache int8, seqcycle bool"),
      table(c, "pg_sequences", 12007,
            "schemaname name, sequencename name, sequenceowner name, data_type regtype, "
            "start_value int8, min_value int8, max_value int8, increment_by int8, cycle bool, "
            "cache_size int8, last_value int8"),
      table(c, "pg_proc", 1255,
            "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, "
            "prorows float4, provariadic oid, prosupport regproc, prokind char, prosecdef bool, "
            "proleakproof bool, proisstrict bool, proretset bool, provolatile char, proparallel "
            "char, pronargs int2, pronargdefaults int2, prorettype oid, proargtypes oidvector, "
            "proallargtypes oid[], proargmodes char[], proargnames text[], prosrc text, probin "
            "text, proconfig text[], proacl aclitem[]"),
      table(c, "pg_am", 2601, "oid oid, amname name, amhandler regproc, amtype char"),
      table(c, "pg_collation", 3456,
            "oid oid, collname name, collnamespace oid, collowner oid, collprovider char, "
            "collisdeterministic bool, collencoding int4, collcollate text, collctype text, "
            "colllocale text, collicurules text, collversion text"),
      table(c, "pg_enum", 3501, "oid oid, enumtypid oid, enumsortorder float4, enumlabel name"),
      table(c, "pg_range", 3541,
            "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, "
            "rngcanonical regproc, rngsubdiff regproc"),
      table(c, "pg_extension", 3079,
            "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, "
            "extversion text, extconfig oid[], extcondition text[]"),
      table(c, "pg_available_extensions", 12008,
            "name name, default_version text, installed_version text, comment text"),
      table(c, "pg_depend", 2608,
            "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid "
            "int4, deptype char"),
      table(c, "pg_inherits", 2611,
            "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool"),
      table(c, "pg_trigger", 2620,
            "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled "
            "char, tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, "
            "tgdeferrable bool, tginitdeferred bool, tgnargs int2, tgattr int2vector, tgargs "
            "bytea, tgqual pg_node_tree, tgoldtable name, tgnewtable name"),
      table(c, "pg_policy", 3256,
            "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles oid[], "
            "polqual pg_node_tree, polwithcheck pg_node_tree"),
      table(c, "pg_rewrite", 2618,
            "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, "
            "ev_qual pg_node_tree, ev_action pg_node_tree"),
      table(c, "pg_language", 2612,
            "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid "
            "oid, laninline oid, lanvalidator oid, lanacl aclitem[]"),
      table(c, "pg_tablespace", 1213,
            "oid oid, spcname name, spcowner oid, spcacl aclitem[], spcoptions text[]"),
      table(c, "pg_foreign_table", 3118, "ftrelid oid, ftserver oid, ftoptions text[]"),
      table(c, "pg_foreign_server", 1417,
            "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, "
            "srvacl aclitem[], srvoptions text[]"),
      table(c, "pg_foreign_data_wrapper", 2328,
            "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl "
            "aclitem[], fdwoptions text[]"),
      table(c, "pg_publication", 6104,
            "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate "
            "bool, pubdelete bool, pubtruncate bool, pubviaroot bool"),
      table(c, "pg_publication_rel", 6106,
            "oid oid, prpubid oid, prrelid oid, prqual pg_node_tree, prattrs int2vector"),
      table(c, "pg_publication_namespace", 6237, "oid oid, pnpubid oid, pnnspid oid"),
      table(c, "pg_subscription", 6100,
            "oid oid, subdbid oid, subname name, subowner oid, subenabled bool"),
      table(c, "pg_statistic_ext", 3381,
            "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget "
            "int2, stxkeys int2vector, stxkind char[], stxexprs pg_node_tree"),
      table(c, "pg_partitioned_table", 3350,
            "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, "
            "partclass oidvector, partcollation oidvector, partexprs pg_node_tree"),
      table(c, "pg_opclass", 2616,
            "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, "
            "opcintype oid, opcdefault bool, opckeytype oid"),
      table(c, "pg_operator", 2617,
            "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge "
            "bool, oprcanhash bool, oprleft oid, oprright oid, oprresult oid, oprcom oid, "
            "oprnegate oid, oprcode regproc, oprrest regproc, oprjoin regproc"),
      table(c, "pg_cast", 2605,
            "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod "
            "char"),
      table(c, "pg_aggregate", 2600, "aggfnoid regproc, aggkind char, aggnumdirectargs int2"),
      table(c, "pg_event_trigger", 3466,
            "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, "
            "evttags text[]"),
      table(
          c, "pg_default_acl", 826,
          "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl aclitem[]"),
      table(c, "pg_db_role_setting", 2964, "setdatabase oid, setrole oid, setconfig text[]"),
      table(c, "pg_stat_activity", 12009,
            "datid oid, datname name, pid int4, leader_pid int4, usesysid oid, usename name, "
            "application_name text, client_addr text, client_hostname text, client_port int4, "
            "backend_start timestamptz, xact_start timestamptz, query_start timestamptz, "
            "state_change timestamptz, wait_event_type text, wait_event text, state text, "
            "backend_xid xid, backend_xmin xid, query_id int8, query text, backend_type text"),
      table(c, "pg_stat_user_tables", 12010,
            "relid oid, schemaname name, relname name, seq_scan int8, idx_scan int8, n_tup_ins "
            "int8, n_tup_upd int8, n_tup_del int8, n_live_tup int8, n_dead_tup int8"),
      table(c, "pg_locks", 12011,
            "locktype text, database oid, relation oid, pid int4, mode text, granted bool"),
      table(c, "pg_prepared_xacts", 12012,
            "transaction xid, gid text, prepared timestamptz, owner name, database name"),
      table(c, "pg_timezone_names", 12013,
            "name text, abbrev text, utc_offset interval, is_dst bool"),
      table(c, "pg_stat_ssl", 12014, "pid int4, ssl bool, version text, cipher text, bits int4"),
      view("schemata", "catalog_name name, schema_name name, schema_owner name",
           "SELECT current_database(), n.nspname, pg_get_userbyid(n.nspowner) FROM pg_namespace n"),
      view("tables",
           "table_catalog name, table_schema name, table_name name, table_type text, "
           "self_referencing_column_name name, reference_generation text, "
           "user_defined_type_catalog name, user_defined_type_schema name, user_defined_type_name "
           "name, is_insertable_into text, is_typed text, commit_action text",
           "SELECT current_database(), n.nspname, c.relname, CASE WHEN c.relkind = 'v' THEN 'VIEW' "
           "WHEN c.relpersistence = 't' THEN 'LOCAL TEMPORARY' ELSE 'BASE TABLE' END, NULL::name, "
           "NULL::text, NULL::name, NULL::name, NULL::name, "
           "CASE WHEN c.relkind = 'r' THEN 'YES' ELSE 'NO' END, 'NO', NULL::text FROM pg_class c "
           "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v')"),
      view("views",
           "table_catalog name, table_schema name, table_name name, view_definition text, "
           "check_option text, is_updatable text, is_insertable_into text",
           "SELECT current_database(), schemaname, viewname, definition, 'NONE', 'NO', 'NO' FROM "
           "pg_views"),
      view("columns",
           "table_catalog name, table_schema name, table_name name, column_name name, "
           "ordinal_position int4, column_default text, is_nullable text, data_type text, "
           "character_maximum_length int4, character_octet_length int4, numeric_precision int4, "
           "numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, "
           "interval_type text, collation_name name, udt_catalog name, udt_schema name, udt_name "
           "name, is_identity text, identity_generation text, identity_start text, "
           "identity_increment text, is_generated text, generation_expression text, is_updatable "
           "text",
           "SELECT current_database(), n.nspname, c.relname, a.attname, a.attnum::int, CASE WHEN "
           "a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, CASE WHEN a.attnotnull "
           "THEN 'NO' ELSE 'YES' END, CASE WHEN t.typelem <> 0 AND t.typlen = -1 AND t.typcategory "
           "= 'A' THEN 'ARRAY' WHEN t.typtype = 'e' THEN 'USER-DEFINED' ELSE "
           "format_type(a.atttypid, "
           "NULL) END, CASE WHEN a.atttypid IN "
           "(1042, 1043) AND a.atttypmod > 0 THEN a.atttypmod - 4 END, CASE WHEN a.atttypid IN "
           "(25, 1042, 1043) THEN CASE WHEN a.atttypmod > 0 THEN (a.atttypmod - 4) * 4 ELSE "
           "1073741824 END END, "
           "CASE a.atttypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN "
           "701 THEN 53 WHEN 1700 THEN CASE WHEN a.atttypmod > 0 THEN ((a.atttypmod - 4) >> 16) & "
           "65535 END END, CASE WHEN a.atttypid IN (21, 23, 20, 700, 701) THEN 2 WHEN a.atttypid = "
           "1700 THEN 10 END, CASE WHEN a.atttypid IN (21, 23, 20) THEN 0 WHEN a.atttypid = 1700 "
           "AND a.atttypmod > 0 THEN (a.atttypmod - 4) & 2047 END, CASE WHEN a.atttypid = 1082 "
           "THEN 0 WHEN a.atttypid IN (1083, 1114, 1184, 1186) THEN CASE WHEN a.atttypmod >= 0 "
           "THEN a.atttypmod ELSE 6 END END, NULL::text, NULL::name, current_database(), "
           "nt.nspname, t.typname, CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE "
           "'NO' END, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END, "
           "NULL::text, NULL::text, CASE WHEN a.attgenerated = '' THEN 'NEVER' ELSE 'ALWAYS' END, "
           "CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END, CASE WHEN "
           "c.relkind = 'r' THEN 'YES' ELSE 'NO' END "
           "FROM pg_attribute a JOIN pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON "
           "c.relnamespace = n.oid JOIN (pg_type t JOIN pg_namespace nt ON t.typnamespace = "
           "nt.oid) ON a.atttypid = t.oid LEFT JOIN pg_attrdef d ON "
           "a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attnum > 0 AND NOT "
           "a.attisdropped AND c.relkind IN ('r', 'v')"),
      view("table_constraints",
           "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog "
           "name, table_schema name, table_name name, constraint_type text, is_deferrable text, "
           "initially_deferred text, enforced text, nulls_distinct text",
           "SELECT current_database(), n.nspname, c.conname, current_database(), n.nspname, "
           "r.relname, CASE c.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' "
           "THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END, CASE WHEN c.condeferrable THEN 'YES' "
           "ELSE 'NO' END, CASE WHEN c.condeferred THEN 'YES' ELSE 'NO' END, 'YES', CASE WHEN "
           "c.contype = 'u' THEN 'YES' END FROM pg_constraint c JOIN pg_class r ON c.conrelid = "
           "r.oid JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.contype IN ('c', 'f', 'p', "
           "'u')"),
      view("key_column_usage",
           "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog "
           "name, table_schema name, table_name name, column_name name, ordinal_position int4, "
           "position_in_unique_constraint int4",
           "SELECT current_database(), n.nspname, c.conname, current_database(), n.nspname, "
           "r.relname, a.attname, array_position(c.conkey, a.attnum), CASE WHEN c.contype = 'f' "
           "THEN array_position(c.conkey, a.attnum) END FROM pg_constraint c JOIN pg_class r ON "
           "c.conrelid = r.oid JOIN pg_namespace n ON n.oid = c.connamespace JOIN pg_attribute a "
           "ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) WHERE c.contype IN ('p', 'u', "
           "'f')"),
      view("constraint_column_usage",
           "table_catalog name, table_schema name, table_name name, column_name name, "
           "constraint_catalog name, constraint_schema name, constraint_name name",
           "SELECT current_database(), n.nspname, r.relname, a.attname, current_database(), "
           "n.nspname, c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = CASE WHEN "
           "c.contype = 'f' THEN c.confrelid ELSE c.conrelid END JOIN pg_namespace n ON n.oid = "
           "c.connamespace JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = ANY (CASE WHEN "
           "c.contype = 'f' THEN c.confkey ELSE c.conkey END)"),
      view("referential_constraints",
           "constraint_catalog name, constraint_schema name, constraint_name name, "
           "unique_constraint_catalog name, unique_constraint_schema name, unique_constraint_name "
           "name, match_option text, update_rule text, delete_rule text",
           "SELECT current_database(), n.nspname, c.conname, current_database(), n.nspname, "
           "i.relname, 'NONE', CASE c.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' "
           "WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END, CASE "
           "c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET "
           "DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END FROM pg_constraint c JOIN "
           "pg_namespace n ON n.oid = c.connamespace LEFT JOIN pg_class i ON i.oid = c.conindid "
           "WHERE c.contype = 'f'"),
      view(
          "check_constraints",
          "constraint_catalog name, constraint_schema name, constraint_name name, check_clause "
          "text",
          "SELECT current_database(), n.nspname, c.conname, pg_get_expr(c.conbin, c.conrelid) FROM "
          "pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.contype = 'c'"),
      view(
          "sequences",
          "sequence_catalog name, sequence_schema name, sequence_name name, data_type text, "
          "start_value text, minimum_value text, maximum_value text, increment text, cycle_option "
          "text",
          "SELECT current_database(), schemaname, sequencename, format_type(data_type::oid, "
          "NULL), start_value::text, min_value::text, max_value::text, increment_by::text, CASE "
          "WHEN cycle THEN 'YES' ELSE 'NO' END FROM pg_sequences s WHERE NOT EXISTS (SELECT 1 FROM "
          "pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = "
          "c.relnamespace WHERE d.deptype = 'i' AND c.relname = s.sequencename AND n.nspname = "
          "s.schemaname)"),
  };
}

}  // namespace

const std::vector<Relation>& system_relations() {
  static const std::vector<Relation> relations = make();
  return relations;
}

}  // namespace calf::sqlite
