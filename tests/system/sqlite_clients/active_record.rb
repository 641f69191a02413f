# ActiveRecord on the server that PGHOST and PGPORT name: migrations forth and back, CRUD, reflection, schema dump.
require "active_record"
require "stringio"

ActiveRecord::Base.establish_connection(adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], username: "postgres", database: "postgres")
ActiveRecord::Migration.verbose = false

class First < ActiveRecord::Migration[6.1]
  def change
    create_table :authors do |t|
      t.string :name, null: false, limit: 40, index: { unique: true }
      t.jsonb :data, default: {}
      t.timestamps
    end
    create_table :books, id: :uuid, default: "gen_random_uuid()" do |t|
      t.references :author, null: false, foreign_key: { on_delete: :cascade }
      t.string :title, default: "untitled"
      t.decimal :price, precision: 8, scale: 2
      t.string :tags, array: true, default: []
      t.date :day
      t.boolean :sold, default: false, null: false
      t.index [:author_id, :title], unique: true
      t.index "lower(title)", name: "by_lower"
    end
    add_check_constraint :books, "price >= 0", name: "price_ok"
  end
end

class Second < ActiveRecord::Migration[6.1]
  def change
    add_column :authors, :age, :integer, default: 7
    rename_column :authors, :name, :full_name
    change_column_null :books, :title, false, "x"
    add_index :books, :price, where: "sold", name: "sold_by_price"
    create_join_table :authors, :prizes
    rename_table :authors_prizes, :wins
    change_column_default :books, :sold, from: false, to: true
    reversible { |d| d.up { change_column :authors, :age, :bigint }; d.down { change_column :authors, :age, :integer } }
  end
end

class Author < ActiveRecord::Base
  has_many :books, dependent: :destroy
end

class Book < ActiveRecord::Base
  belongs_to :author
  scope :cheap, -> { where("price < ?", 3) }
end

def check(what, got, wanted)
  raise "#{what}: #{got.inspect} instead of #{wanted.inspect}" unless got == wanted
end

First.migrate(:up)
Second.migrate(:up)
[Author, Book].each(&:reset_column_information)
check "columns", Author.columns.map { |c| [c.name, c.sql_type, c.null] }.last, ["age", "bigint", true]
check "default", Author.columns_hash["age"].default, "7"
ann = Author.create!(full_name: "Ann", data: { "a" => 1 })
check "defaults", ann.reload.age, 7
ann.books.create!([{ title: "One", price: 1.5, tags: %w[x y] }, { title: "Two", price: 9.99, day: Date.new(2024, 2, 29) }])
check "arrays", Book.find_by!(title: "One").tags, %w[x y]
check "any", Book.where("? = any(tags)", "y").pluck(:title), ["One"]
check "scope", Book.cheap.count, 1
check "sum", Book.sum(:price), BigDecimal("11.49")
check "group", Author.joins(:books).group(:full_name).count, { "Ann" => 2 }
check "json", Author.where("data ->> 'a' = ?", "1").count, 1
check "includes", Author.includes(:books).order(:id).flat_map { |a| a.books.map(&:title) }.sort, %w[One Two]
check "eager", Author.eager_load(:books).where(books: { title: "Two" }).first.books.first.day, Date.new(2024, 2, 29)
check "update", Book.where(title: "One").update_all("price = price + 1"), 1
check "upsert", Author.upsert_all([{ full_name: "Ann", created_at: Time.now, updated_at: Time.now }, { full_name: "Ben", created_at: Time.now, updated_at: Time.now }], unique_by: :full_name).length, 2
check "batches", Author.find_each(batch_size: 1).map(&:full_name), %w[Ann Ben]
check "exists", Author.where.not(id: Book.select(:author_id)).pluck(:full_name), ["Ben"]
begin
  Author.transaction(requires_new: true) { Author.create!(full_name: "Ben") }
  raise "a duplicate was accepted"
rescue ActiveRecord::RecordNotUnique
end
begin
  Book.create!(author: ann, title: "Three", price: -1)
  raise "the check did not hold"
rescue ActiveRecord::StatementInvalid => error
  raise unless error.message.include?("price_ok")
end
Author.transaction do
  Author.transaction(requires_new: true) { Author.create!(full_name: "Nobody"); raise ActiveRecord::Rollback }
  Author.lock.find(ann.id).touch
end
check "rolled back", Author.exists?(full_name: "Nobody"), false

# Reflection: what a schema dump is made of.
c = ActiveRecord::Base.connection
check "tables", c.tables.sort & %w[authors books wins], %w[authors books wins]
check "indexes", c.indexes(:books).map { |i| [i.name, i.columns, i.unique, i.where] }.sort_by(&:first).map { |i| i[0] },
      %w[by_lower index_books_on_author_id index_books_on_author_id_and_title sold_by_price]
check "foreign keys", c.foreign_keys(:books).map { |k| [k.to_table, k.column, k.on_delete] }, [["authors", "author_id", :cascade]]
check "checks", c.check_constraints(:books).map(&:name), ["price_ok"]
check "keys", [c.primary_key("authors"), c.primary_key("books")], %w[id id]
dump = StringIO.new
ActiveRecord::SchemaDumper.dump(c, dump)
['create_table "books", id: :uuid, default: -> { "gen_random_uuid()" }', 't.string "tags", default: [], array: true', 't.decimal "price", precision: 8, scale: 2',
 't.bigint "age", default: 7', 'add_foreign_key "books", "authors", on_delete: :cascade'].each do |line|
  raise "the dump has no #{line}\n#{dump.string}" unless dump.string.include?(line)
end
ann.destroy!
check "cascade", Book.count, 0
Second.migrate(:down)
First.migrate(:down)
check "nothing left", c.tables & %w[authors books], []
