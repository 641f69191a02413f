(module
  (memory 1)
  (data (i32.const 1024) "wait here\00")
  (func $wait (param i32 i32) (result i32) (i32.load (i32.const 1024)))
  ;; The locals of all types are part of the result, after a call inside a block and a loop.
  (func $loop (param $from i32) (result i32) (local $wide i64) (local $real f64) (local $i i32)
    (local.set $wide (i64.extend_i32_u (local.get $from)))
    (local.set $real (f64.convert_i32_u (local.get $from)))
    (local.set $i (i32.const 1))
    (block $out
      (loop $again
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (if (i32.eqz (local.get $i)) (then
          (local.set $i (call $wait (i32.add (local.get $from) (i32.load (i32.const 0))) (i32.const 9)))
          (br $out)))
        (br $again)))
    (if (i64.ne (local.get $wide) (i64.extend_i32_u (local.get $from))) (then (unreachable)))
    (if (f64.ne (local.get $real) (f64.convert_i32_u (local.get $from))) (then (unreachable)))
    (local.get $i))
  (func (export "run1") (result i32) (call $loop (i32.const 5)))
  (func (export "run2") (result i32) (call $loop (i32.const 6)))
  (func (export "run3") (result i32) (call $loop (i32.const 7)))
)
