"""Character set conversions: all of pg_conversion, checked against Python's codecs where it has the same one."""

import pytest

JAPANESE, KOREAN, CHINESE, TAIWANESE, RUSSIAN = "日本語テスト、かな", "한국어 시험", "中文测试", "中文測試", "Русский текст"
CASES = [
    ("SJIS", "shift_jis", JAPANESE),
    ("EUC_JP", "euc_jp", JAPANESE),
    ("EUC_JIS_2004", "euc_jis_2004", JAPANESE),
    ("SHIFT_JIS_2004", "shift_jis_2004", JAPANESE),
    ("EUC_KR", "euc_kr", KOREAN),
    ("UHC", "cp949", KOREAN),
    # PostgreSQL takes only characters whose second byte is in the range of the EUC encodings.
    ("JOHAB", "johab", "길 곧 꼬"),
    ("EUC_CN", "gb2312", CHINESE),
    ("GBK", "gbk", CHINESE),
    ("GB18030", "gb18030", CHINESE + "🐘"),
    ("BIG5", "big5", TAIWANESE),
    ("KOI8R", "koi8_r", RUSSIAN),
    ("KOI8U", "koi8_u", "Українська"),
    ("WIN1251", "cp1251", RUSSIAN),
    ("WIN866", "cp866", RUSSIAN),
    ("ISO_8859_5", "iso8859_5", RUSSIAN),
    ("ISO_8859_6", "iso8859_6", "مرحبا"),
    ("ISO_8859_7", "iso8859_7", "Ελληνικά"),
    ("ISO_8859_8", "iso8859_8", "עברית"),
    ("LATIN1", "latin_1", "Grüße, ça va?"),
    ("LATIN2", "iso8859_2", "Příliš žluťoučký"),
    ("LATIN3", "iso8859_3", "ĉĝĥĵŝŭ"),
    ("LATIN4", "iso8859_4", "āčēģīķ"),
    ("LATIN5", "iso8859_9", "Türkçe ğış"),
    ("LATIN6", "iso8859_10", "ðþŋ"),
    ("LATIN7", "iso8859_13", "ąčęė"),
    ("LATIN8", "iso8859_14", "ŵŷẁ"),
    ("LATIN9", "iso8859_15", "œuvre €"),
    ("LATIN10", "iso8859_16", "șț €"),
    ("WIN1250", "cp1250", "Příliš žluťoučký"),
    ("WIN1252", "cp1252", "“Grüße” €"),
    ("WIN1253", "cp1253", "Ελληνικά"),
    ("WIN1254", "cp1254", "Türkçe ğış"),
    ("WIN1255", "cp1255", "עברית"),
    ("WIN1256", "cp1256", "مرحبا"),
    ("WIN1257", "cp1257", "ąčęė"),
    ("WIN1258", "cp1258", "đơư"),
    ("WIN874", "cp874", "ภาษาไทย"),
]


@pytest.mark.parametrize(("encoding", "codec", "text"), CASES, ids=[c[0] for c in CASES])
def test_round_trip_with_utf8(server, encoding, codec, text):
    # The shared database will do: nothing is stored.
    with server.connect() as one:
        there = one.execute("select convert_to(%s, %s)", (text, encoding)).fetchone()[0]
        assert there == text.encode(codec)
        assert one.execute("select convert_from(%b, %s)", (there, encoding)).fetchone()[0] == text


def test_every_conversion_runs(server):
    """All of them, so that all 24 modules are loaded: plain letters, which are the same in every encoding."""
    with server.connect() as one:
        conversions = one.execute(
            "select conname, pg_encoding_to_char(conforencoding), pg_encoding_to_char(contoencoding) from pg_conversion"
        ).fetchall()
        assert len(conversions) >= 128
        modules = one.execute(
            "select count(distinct probin) from pg_proc p join pg_conversion c on c.conproc = p.oid and probin is not null"
        ).fetchone()[0]
        assert modules == 24
        failed = {}
        for name, source, target in conversions:
            try:
                assert bytes(one.execute("select convert('Plain 42', %s, %s)", (source, target)).fetchone()[0]) == b"Plain 42"
            except Exception as error:
                failed[name] = str(error).splitlines()[0]
        assert failed == {}


@pytest.mark.parametrize(
    ("first", "second", "first_codec", "second_codec", "text"),
    [
        ("KOI8R", "WIN1251", "koi8_r", "cp1251", RUSSIAN),
        ("WIN866", "ISO_8859_5", "cp866", "iso8859_5", RUSSIAN),
        ("SJIS", "EUC_JP", "shift_jis", "euc_jp", JAPANESE),
        ("LATIN2", "WIN1250", "iso8859_2", "cp1250", "Příliš žluťoučký"),
        ("EUC_JIS_2004", "SHIFT_JIS_2004", "euc_jis_2004", "shift_jis_2004", JAPANESE),
    ],
    ids=lambda value: value if value.isascii() and value.isupper() else "",
)
def test_direct_conversions_between_others(server, first, second, first_codec, second_codec, text):
    with server.connect() as one:
        got = one.execute("select convert(%b, %s, %s)", (text.encode(first_codec), first, second)).fetchone()[0]
        assert got == text.encode(second_codec)


@pytest.mark.parametrize("encoding", ["EUC_JP", "SJIS", "EUC_KR", "EUC_CN", "EUC_TW", "BIG5", "LATIN1", "LATIN2", "KOI8R", "WIN1251", "WIN1250"])
def test_through_mule_internal_and_back(server, encoding):
    text = {"EUC_TW": TAIWANESE, "BIG5": TAIWANESE, "EUC_CN": CHINESE, "EUC_KR": KOREAN, "LATIN1": "Grüße", "LATIN2": "žluť", "WIN1250": "žluť"}
    words = text.get(encoding, RUSSIAN if encoding in ("KOI8R", "WIN1251") else JAPANESE)
    with server.connect() as one:
        row = one.execute(
            "select convert(convert(convert_to(%s, %s), %s, 'MULE_INTERNAL'), 'MULE_INTERNAL', %s) = convert_to(%s, %s)",
            (words, encoding, encoding, encoding, words, encoding),
        ).fetchone()
        assert row[0] is True


def test_what_cannot_be_converted_is_an_error(server):
    with server.connect() as one:
        import psycopg

        for sql, state in (
            ("select convert_to('日本', 'LATIN1')", "22P05"),
            (r"select convert_from('\xff'::bytea, 'UTF8')", "22021"),
            (r"select convert_from('\x8179'::bytea, 'EUC_JP')", "22021"),
        ):
            try:
                one.execute(sql)
                raise AssertionError(sql)
            except psycopg.Error as error:
                assert error.sqlstate == state, sql


@pytest.mark.parametrize("encoding", ["SJIS", "EUC_JP", "WIN1251", "LATIN1", "GBK", "UHC"])
def test_client_encoding(server, encoding):
    """The server converts what goes over the wire; the driver encodes with Python's codec of the same name."""
    text = {"SJIS": JAPANESE, "EUC_JP": JAPANESE, "WIN1251": RUSSIAN, "LATIN1": "Grüße", "GBK": CHINESE, "UHC": KOREAN}[encoding]
    with server.connect(client_encoding=encoding) as one:
        row = one.execute("select %s::text, length(%s::text), encode(convert_to(%s, 'UTF8'), 'hex')", (text, text, text)).fetchone()
        assert row == (text, len(text), text.encode().hex())
