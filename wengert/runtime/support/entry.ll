; The way from a Python call into a compiled program and back, driven by tables that `runtime/entry.py` writes.
;
; Names after a dollar sign are offsets of fields in Python's and NumPy's objects, or constants of the system's, filled in by
; `runtime/support.py`.
;
; %spec    one entry                       %operand  one operand of it              %result   one result of it
;   0  ptr   run                             0  i64  kind: 0 array, 1 scalar          0  i64  kind: 0 new array, 1 new scalar,
;   8  ptr   slow (callable)                           object, 2 int, 3 bool                    2 an operand copied, 3 a constant
;  16  ptr   fail (callable)                 8  ptr  type of the scalar object                  copied, 4 a result copied,
;  24  ptr   wrap (callable)                16  i64  where its value lies                       5 a donated operand itself
;  32  i64   form: 0 array, 1 tuple,        24  ptr  descr of the array, or null      8  ptr  descr
;            2 wrap(*results)               32  i64  ndim                             16  i64  ndim
;  40  i64   operands                       40  ptr  dims                             24  ptr  dims
;  48  i64   results                        48  i64  flags that must be set           32  i64  index of the source
;  56  i64   constants                       56  i64  bytes of the array              40  i64  bytes
;  64  ptr   operands' table                                                          48  i64  0-d ones become 0 NumPy scalar,
;  72  ptr   results' table                                                                     1 float, 2 int, 3 bool, 4 complex
;  80  ptr   constants' addresses         %hosted  one host call                    %array  an operand or result of one
;  88  i64   bytes of workspace              0  ptr  callable                          0  ptr  descr
;  96  i64   release the GIL?                8  i64  arrays                            8  i64  ndim
; 104  ptr   host calls' table              16  ptr  arrays' table                    16  ptr  dims
;                                                                                     24  i64  flags
; 112  the Context: host, parallel, self (this spec), interrupted
; 144  i64   calls until `hot` is called, or 0
; 152  ptr   hot (callable)

%spec = type { ptr, ptr, ptr, ptr, i64, i64, i64, i64, ptr, ptr, ptr, i64, i64, ptr, ptr, ptr, ptr, ptr, i64, ptr }
%operand = type { i64, ptr, i64, ptr, i64, ptr, i64, i64 }
%result = type { i64, ptr, i64, ptr, i64, i64, i64 }
%hosted = type { ptr, i64, ptr }
%array = type { ptr, i64, ptr, i64 }

@"np.ndarray" = external global i8
@"py.int" = external global i8
@"py.true" = external global i8
@"py.false" = external global i8
@handler = global ptr null ; how NumPy is told to take memory from `blocks.ll`

declare ptr @"np.NewFromDescr"(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @"np.Scalar"(ptr, ptr, ptr)
declare ptr @"np.SetHandler"(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyTuple_New(i64)
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLong(i64)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyBool_FromLong(i64)
declare ptr @PyComplex_FromDoubles(double, double)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyErr_NoMemory()
declare ptr @PyErr_Occurred()
declare i32 @PyErr_CheckSignals()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare i32 @PyTraceMalloc_Track(i32, i64, i64)
declare i32 @PyTraceMalloc_Untrack(i32, i64)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; Whether an array is what `%operand` describes.
define internal i1 @array_fits(ptr %x, ptr %row) nounwind {
entry:
  %descr.at = getelementptr i8, ptr %x, i64 $descr
  %descr = load ptr, ptr %descr.at
  %wanted.at = getelementptr %operand, ptr %row, i64 0, i32 3
  %wanted = load ptr, ptr %wanted.at
  %same = icmp eq ptr %descr, %wanted
  %nd.at = getelementptr i8, ptr %x, i64 $nd
  %nd32 = load i32, ptr %nd.at
  %nd = zext i32 %nd32 to i64
  %ndim.at = getelementptr %operand, ptr %row, i64 0, i32 4
  %ndim = load i64, ptr %ndim.at
  %alike = icmp eq i64 %nd, %ndim
  %flags.at = getelementptr i8, ptr %x, i64 $flags
  %flags32 = load i32, ptr %flags.at
  %flags = zext i32 %flags32 to i64
  %mask.at = getelementptr %operand, ptr %row, i64 0, i32 6
  %mask = load i64, ptr %mask.at
  %set = and i64 %flags, %mask
  %laid = icmp eq i64 %set, %mask
  %a = and i1 %same, %alike
  %b = and i1 %a, %laid
  br i1 %b, label %shape, label %no
shape:
  %dims.at = getelementptr i8, ptr %x, i64 $dims
  %dims = load ptr, ptr %dims.at
  %shape.at = getelementptr %operand, ptr %row, i64 0, i32 5
  %shapes = load ptr, ptr %shape.at
  br label %test
test:
  %i = phi i64 [0, %shape], [%next, %more]
  %end = icmp eq i64 %i, %ndim
  br i1 %end, label %yes, label %more
more:
  %have.at = getelementptr i64, ptr %dims, i64 %i
  %have = load i64, ptr %have.at
  %want.at = getelementptr i64, ptr %shapes, i64 %i
  %want = load i64, ptr %want.at
  %next = add i64 %i, 1
  %eq = icmp eq i64 %have, %want
  br i1 %eq, label %test, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

; Where the value of one operand lies, or null if it is not what was compiled for. `%scratch` takes 8 bytes.
define internal ptr @accept(ptr %x, ptr %row, ptr %scratch) nounwind {
entry:
  %overflow = alloca i32
  %kind = load i64, ptr %row
  %type.at = getelementptr i8, ptr %x, i64 $type
  %type = load ptr, ptr %type.at
  switch i64 %kind, label %no [ i64 0, label %array
                                i64 1, label %scalar
                                i64 2, label %int
                                i64 3, label %bool ]
scalar:
  %wanted.at = getelementptr %operand, ptr %row, i64 0, i32 1
  %wanted = load ptr, ptr %wanted.at
  %boxed = icmp eq ptr %type, %wanted
  br i1 %boxed, label %unbox, label %array
unbox:
  %offset.at = getelementptr %operand, ptr %row, i64 0, i32 2
  %offset = load i64, ptr %offset.at
  %value = getelementptr i8, ptr %x, i64 %offset
  ret ptr %value
array:
  %is = icmp eq ptr %type, @"np.ndarray"
  br i1 %is, label %fit, label %no
fit:
  %fits = call i1 @array_fits(ptr %x, ptr %row)
  br i1 %fits, label %take, label %no
take:
  %data.at = getelementptr i8, ptr %x, i64 $data
  %data = load ptr, ptr %data.at
  ret ptr %data
int:
  %integer = icmp eq ptr %type, @"py.int"
  br i1 %integer, label %read, label %no
read:
  %number = call i64 @PyLong_AsLongLongAndOverflow(ptr %x, ptr %overflow)
  %over = load i32, ptr %overflow
  %fine = icmp eq i32 %over, 0
  store i64 %number, ptr %scratch
  br i1 %fine, label %kept, label %no
bool:
  %true = icmp eq ptr %x, @"py.true"
  %false = icmp eq ptr %x, @"py.false"
  %either = or i1 %true, %false
  %byte = zext i1 %true to i8
  store i8 %byte, ptr %scratch
  br i1 %either, label %kept, label %no
kept:
  ret ptr %scratch
no:
  ret ptr null
}

; A new array as `%result` describes it; large ones in memory of dead ones.
define internal ptr @new_array(ptr %row, ptr %spec) nounwind {
entry:
  store ptr %spec, ptr @entered
  %descr.at = getelementptr %result, ptr %row, i64 0, i32 1
  %descr = load ptr, ptr %descr.at
  %ndim.at = getelementptr %result, ptr %row, i64 0, i32 2
  %ndim64 = load i64, ptr %ndim.at
  %ndim = trunc i64 %ndim64 to i32
  %dims.at = getelementptr %result, ptr %row, i64 0, i32 3
  %dims = load ptr, ptr %dims.at
  %bytes.at = getelementptr %result, ptr %row, i64 0, i32 5
  %bytes = load i64, ptr %bytes.at
  call void @Py_IncRef(ptr %descr)
  %least = load i64, ptr @pooled_least
  %large = icmp uge i64 %bytes, %least
  br i1 %large, label %pooled, label %plain
plain:
  %small = call ptr @"np.NewFromDescr"(ptr @"np.ndarray", ptr %descr, i32 %ndim, ptr %dims, ptr null, ptr null, i32 0, ptr null)
  store ptr null, ptr @entered
  ret ptr %small
pooled:
  %handler = load ptr, ptr @handler
  %before = call ptr @"np.SetHandler"(ptr %handler)
  %big = call ptr @"np.NewFromDescr"(ptr @"np.ndarray", ptr %descr, i32 %ndim, ptr %dims, ptr null, ptr null, i32 0, ptr null)
  %ours = call ptr @"np.SetHandler"(ptr %before)
  call void @Py_DecRef(ptr %before)
  call void @Py_DecRef(ptr %ours)
  store ptr null, ptr @entered
  ret ptr %big
}

; A 0-d result as an object: of NumPy's, or of Python's where only Python's numbers went in.
define internal ptr @box(ptr %value, ptr %row) nounwind {
entry:
  %kind.at = getelementptr %result, ptr %row, i64 0, i32 6
  %kind = load i64, ptr %kind.at
  switch i64 %kind, label %numpy [ i64 1, label %float
                                   i64 2, label %int
                                   i64 3, label %bool
                                   i64 4, label %complex ]
numpy:
  %descr.at = getelementptr %result, ptr %row, i64 0, i32 1
  %descr = load ptr, ptr %descr.at
  %scalar = call ptr @"np.Scalar"(ptr %value, ptr %descr, ptr null)
  ret ptr %scalar
float:
  %x = load double, ptr %value
  %a = call ptr @PyFloat_FromDouble(double %x)
  ret ptr %a
int:
  %i = load i64, ptr %value
  %b = call ptr @PyLong_FromLongLong(i64 %i)
  ret ptr %b
bool:
  %byte = load i8, ptr %value
  %wide = zext i8 %byte to i64
  %c = call ptr @PyBool_FromLong(i64 %wide)
  ret ptr %c
complex:
  %re = load double, ptr %value
  %im.at = getelementptr double, ptr %value, i64 1
  %im = load double, ptr %im.at
  %d = call ptr @PyComplex_FromDoubles(double %re, double %im)
  ret ptr %d
}

; Run with the GIL released or held.
define i32 @invoke(ptr %spec, ptr %frame) {
entry:
  %run = load ptr, ptr %spec
  %long.at = getelementptr %spec, ptr %spec, i64 0, i32 12
  %long = load i64, ptr %long.at
  %release = icmp ne i64 %long, 0
  br i1 %release, label %free, label %held
held:
  %short = call i32 %run(ptr %frame)
  ret i32 %short
free:
  %state = call ptr @PyEval_SaveThread()
  %code = call i32 %run(ptr %frame)
  call void @PyEval_RestoreThread(ptr %state)
  ret i32 %code
}

define internal void @drop(ptr %objects, i64 %count) {
entry:
  br label %test
test:
  %i = phi i64 [0, %entry], [%next, %more]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %more
more:
  %at = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %at
  call void @Py_DecRef(ptr %object)
  %next = add i64 %i, 1
  br label %test
done:
  ret void
}

; METH_FASTCALL
define ptr @enter(ptr %self, ptr %args, i64 %count) {
entry:
  %item = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %spec = call ptr @PyLong_AsVoidPtr(ptr %item)
  %n.at = getelementptr %spec, ptr %spec, i64 0, i32 5
  %n = load i64, ptr %n.at
  %m.at = getelementptr %spec, ptr %spec, i64 0, i32 6
  %m = load i64, ptr %m.at
  %c.at = getelementptr %spec, ptr %spec, i64 0, i32 7
  %c = load i64, ptr %c.at
  %ins.at = getelementptr %spec, ptr %spec, i64 0, i32 8
  %ins = load ptr, ptr %ins.at
  %outs.at = getelementptr %spec, ptr %spec, i64 0, i32 9
  %outs = load ptr, ptr %outs.at
  %constants.at = getelementptr %spec, ptr %spec, i64 0, i32 10
  %constants = load ptr, ptr %constants.at
  %right = icmp eq i64 %count, %n
  br i1 %right, label %room, label %slow

room:
  %nm = add i64 %n, %m
  %nmc = add i64 %nm, %c
  %words = add i64 %nmc, 2
  %frame = alloca ptr, i64 %words, align 16
  %cells = alloca [16 x i8], i64 %nm, align 16
  %objects = alloca ptr, i64 %m, align 16
  %where = alloca ptr, i64 %m, align 16
  br label %in.test

in.test:
  %i = phi i64 [0, %room], [%i.next, %in.keep]
  %i.next = add i64 %i, 1
  %in.end = icmp eq i64 %i, %n
  br i1 %in.end, label %out.start, label %in.more
in.more:
  %arg.at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %arg.at
  %in.row = getelementptr %operand, ptr %ins, i64 %i
  %in.cell = getelementptr [16 x i8], ptr %cells, i64 %i
  %value = call ptr @accept(ptr %arg, ptr %in.row, ptr %in.cell)
  %refused = icmp eq ptr %value, null
  br i1 %refused, label %slow, label %in.keep
in.keep:
  %in.slot = getelementptr ptr, ptr %frame, i64 %i.next
  store ptr %value, ptr %in.slot
  br label %in.test

out.start:
  %first = add i64 %n, 1
  br label %out.test
out.test:
  %k = phi i64 [0, %out.start], [%k.next, %out.after]
  %at = phi i64 [%first, %out.start], [%at.next, %out.after]
  %out.end = icmp eq i64 %k, %m
  br i1 %out.end, label %const.test, label %out.more
out.more:
  %k.next = add i64 %k, 1
  %out.row = getelementptr %result, ptr %outs, i64 %k
  %kind = load i64, ptr %out.row
  %object.at = getelementptr ptr, ptr %objects, i64 %k
  store ptr null, ptr %object.at
  %where.at = getelementptr ptr, ptr %where, i64 %k
  switch i64 %kind, label %out.none [ i64 0, label %out.array
                                      i64 1, label %out.scalar
                                      i64 5, label %out.taken ]
out.none:
  br label %out.after
out.array:
  %made = call ptr @new_array(ptr %out.row, ptr %spec)
  store ptr %made, ptr %object.at
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %no.array, label %out.data
out.data:
  %made.data = getelementptr i8, ptr %made, i64 $data
  %made.pointer = load ptr, ptr %made.data
  br label %out.store
out.scalar:
  %cell = add i64 %n, %k
  %out.cell = getelementptr [16 x i8], ptr %cells, i64 %cell
  br label %out.store
out.taken:
  %from.at = getelementptr %result, ptr %out.row, i64 0, i32 4
  %from = load i64, ptr %from.at
  %taken.at = getelementptr ptr, ptr %args, i64 %from
  %taken = load ptr, ptr %taken.at
  call void @Py_IncRef(ptr %taken)
  store ptr %taken, ptr %object.at
  %from.next = add i64 %from, 1
  %from.slot = getelementptr ptr, ptr %frame, i64 %from.next
  %taken.pointer = load ptr, ptr %from.slot
  %taken.bytes.at = getelementptr %result, ptr %out.row, i64 0, i32 5
  %taken.bytes = load i64, ptr %taken.bytes.at
  %taken.low = ptrtoint ptr %taken.pointer to i64
  %taken.high = add i64 %taken.low, %taken.bytes
  br label %meet.test
meet.test: ; another operand in the donated one's memory would be written over before it is read
  %o = phi i64 [0, %out.taken], [%o.next, %meet.more], [%o.next, %meet.range]
  %o.next = add i64 %o, 1
  %meet.end = icmp eq i64 %o, %n
  br i1 %meet.end, label %out.store, label %meet.more
meet.more:
  %itself = icmp eq i64 %o, %from
  br i1 %itself, label %meet.test, label %meet.range
meet.range:
  %nearby.slot = getelementptr ptr, ptr %frame, i64 %o.next
  %nearby = load ptr, ptr %nearby.slot
  %nearby.row = getelementptr %operand, ptr %ins, i64 %o
  %nearby.bytes.at = getelementptr %operand, ptr %nearby.row, i64 0, i32 7
  %nearby.bytes = load i64, ptr %nearby.bytes.at
  %nearby.low = ptrtoint ptr %nearby to i64
  %nearby.high = add i64 %nearby.low, %nearby.bytes
  %begins = icmp ult i64 %nearby.low, %taken.high
  %ends = icmp ult i64 %taken.low, %nearby.high
  %meets = and i1 %begins, %ends
  br i1 %meets, label %shared, label %meet.test
shared:
  call void @drop(ptr %objects, i64 %k.next)
  br label %slow
out.store:
  %pointer = phi ptr [%made.pointer, %out.data], [%out.cell, %out.scalar], [%taken.pointer, %meet.test]
  store ptr %pointer, ptr %where.at
  %out.slot = getelementptr ptr, ptr %frame, i64 %at
  store ptr %pointer, ptr %out.slot
  %at.more = add i64 %at, 1
  br label %out.after
out.after:
  %at.next = phi i64 [%at, %out.none], [%at.more, %out.store]
  br label %out.test
no.array:
  call void @drop(ptr %objects, i64 %k.next)
  ret ptr null

const.test:
  %j = phi i64 [0, %out.test], [%j.next, %const.more]
  %const.end = icmp eq i64 %j, %c
  br i1 %const.end, label %work, label %const.more
const.more:
  %const.at = getelementptr ptr, ptr %constants, i64 %j
  %const = load ptr, ptr %const.at
  %const.to = add i64 %at, %j
  %const.slot = getelementptr ptr, ptr %frame, i64 %const.to
  store ptr %const, ptr %const.slot
  %j.next = add i64 %j, 1
  br label %const.test

work:
  %context = getelementptr %spec, ptr %spec, i64 0, i32 14
  store ptr %context, ptr %frame
  %bytes.at = getelementptr %spec, ptr %spec, i64 0, i32 11
  %bytes = load i64, ptr %bytes.at
  %large = icmp ugt i64 %bytes, $stack
  br i1 %large, label %heap, label %stack
stack:
  %near = alloca i8, i64 %bytes, align 64
  br label %go
heap:
  %far = call ptr @take(i64 %bytes, i64 1, ptr %spec)
  %none = icmp eq ptr %far, null
  br i1 %none, label %no.memory, label %traced
traced: ; tracemalloc sees results through NumPy, but not this
  %far.at = ptrtoint ptr %far to i64
  %tracked = call i32 @PyTraceMalloc_Track(i32 $domain, i64 %far.at, i64 %bytes)
  br label %go
no.memory:
  call void @drop(ptr %objects, i64 %m)
  %raised = call ptr @PyErr_NoMemory()
  ret ptr null
go:
  %workspace = phi ptr [%near, %stack], [%far, %traced]
  %work.to = add i64 %at, %c
  %work.slot = getelementptr ptr, ptr %frame, i64 %work.to
  store ptr %workspace, ptr %work.slot
  %code = call i32 @invoke(ptr %spec, ptr %frame)
  br i1 %large, label %return, label %ran
return:
  %traced.at = ptrtoint ptr %workspace to i64
  %untracked = call i32 @PyTraceMalloc_Untrack(i32 $domain, i64 %traced.at)
  call void @give(ptr %workspace)
  br label %ran
ran:
  %ok = icmp eq i32 %code, 0
  br i1 %ok, label %fin.test, label %wrong

wrong:
  call void @drop(ptr %objects, i64 %m)
  %pending = call ptr @PyErr_Occurred()
  %told = icmp ne ptr %pending, null
  br i1 %told, label %give.up, label %tell
tell:
  %code64 = sext i32 %code to i64
  %number = call ptr @PyLong_FromLong(i64 %code64)
  %fail.at = getelementptr %spec, ptr %spec, i64 0, i32 2
  %fail = load ptr, ptr %fail.at
  %answer = call ptr @PyObject_CallOneArg(ptr %fail, ptr %number)
  call void @Py_DecRef(ptr %number)
  br label %give.up
give.up:
  ret ptr null

fin.test:
  %f = phi i64 [0, %ran], [%f.next, %fin.after]
  %fin.end = icmp eq i64 %f, %m
  br i1 %fin.end, label %deliver, label %fin.more
fin.more:
  %f.next = add i64 %f, 1
  %fin.row = getelementptr %result, ptr %outs, i64 %f
  %fin.kind = load i64, ptr %fin.row
  %fin.at = getelementptr ptr, ptr %objects, i64 %f
  %fin.where = getelementptr ptr, ptr %where, i64 %f
  %index.at = getelementptr %result, ptr %fin.row, i64 0, i32 4
  %index = load i64, ptr %index.at
  switch i64 %fin.kind, label %fin.after [ i64 1, label %of.cell
                                           i64 2, label %of.operand
                                           i64 3, label %of.constant
                                           i64 4, label %of.result ]
of.cell:
  %own = load ptr, ptr %fin.where
  br label %box
of.operand:
  %index.next = add i64 %index, 1
  %operand.slot = getelementptr ptr, ptr %frame, i64 %index.next
  %operand = load ptr, ptr %operand.slot
  br label %copy
of.constant:
  %constant.at = getelementptr ptr, ptr %constants, i64 %index
  %constant = load ptr, ptr %constant.at
  br label %copy
of.result:
  %other.at = getelementptr ptr, ptr %where, i64 %index
  %other = load ptr, ptr %other.at
  br label %copy
copy:
  %source = phi ptr [%operand, %of.operand], [%constant, %of.constant], [%other, %of.result]
  store ptr %source, ptr %fin.where
  %ndim.at = getelementptr %result, ptr %fin.row, i64 0, i32 2
  %ndim = load i64, ptr %ndim.at
  %scalar = icmp eq i64 %ndim, 0
  br i1 %scalar, label %box, label %duplicate
box:
  %value.at = phi ptr [%own, %of.cell], [%source, %copy]
  %boxed = call ptr @box(ptr %value.at, ptr %fin.row)
  store ptr %boxed, ptr %fin.at
  %unboxed = icmp eq ptr %boxed, null
  br i1 %unboxed, label %no.result, label %fin.after
duplicate:
  %twin = call ptr @new_array(ptr %fin.row, ptr %spec)
  store ptr %twin, ptr %fin.at
  %no.twin = icmp eq ptr %twin, null
  br i1 %no.twin, label %no.result, label %fill
fill:
  %twin.data = getelementptr i8, ptr %twin, i64 $data
  %twin.pointer = load ptr, ptr %twin.data
  %size.at = getelementptr %result, ptr %fin.row, i64 0, i32 5
  %size = load i64, ptr %size.at
  call void @llvm.memcpy.p0.p0.i64(ptr %twin.pointer, ptr %source, i64 %size, i1 false)
  br label %fin.after
fin.after:
  br label %fin.test
no.result:
  call void @drop(ptr %objects, i64 %m)
  ret ptr null

deliver:
  %calls.at = getelementptr %spec, ptr %spec, i64 0, i32 18
  %calls = load i64, ptr %calls.at
  %counting = icmp ne i64 %calls, 0
  br i1 %counting, label %counted, label %hand.over
counted:
  %calls.left = sub i64 %calls, 1
  store i64 %calls.left, ptr %calls.at
  %hot = icmp eq i64 %calls.left, 0
  br i1 %hot, label %promote, label %hand.over
promote:
  %hot.at = getelementptr %spec, ptr %spec, i64 0, i32 19
  %hot.call = load ptr, ptr %hot.at
  %promoted = call ptr @PyObject_CallNoArgs(ptr %hot.call)
  %unpromoted = icmp eq ptr %promoted, null
  br i1 %unpromoted, label %no.result, label %promoted.done
promoted.done:
  call void @Py_DecRef(ptr %promoted)
  br label %hand.over
hand.over:
  %form.at = getelementptr %spec, ptr %spec, i64 0, i32 4
  %form = load i64, ptr %form.at
  switch i64 %form, label %alone [ i64 1, label %tuple
                                   i64 2, label %wrapped ]
alone:
  %only = load ptr, ptr %objects
  ret ptr %only
wrapped:
  %wrap.at = getelementptr %spec, ptr %spec, i64 0, i32 3
  %wrap = load ptr, ptr %wrap.at
  %whole = call ptr @PyObject_Vectorcall(ptr %wrap, ptr %objects, i64 %m, ptr null)
  call void @drop(ptr %objects, i64 %m)
  ret ptr %whole
tuple:
  %all = call ptr @PyTuple_New(i64 %m)
  %no.tuple = icmp eq ptr %all, null
  br i1 %no.tuple, label %no.result, label %fill.test
fill.test:
  %t = phi i64 [0, %tuple], [%t.next, %fill.more]
  %fill.end = icmp eq i64 %t, %m
  br i1 %fill.end, label %full, label %fill.more
fill.more:
  %part.at = getelementptr ptr, ptr %objects, i64 %t
  %part = load ptr, ptr %part.at
  %put = call i32 @PyTuple_SetItem(ptr %all, i64 %t, ptr %part)
  %t.next = add i64 %t, 1
  br label %fill.test
full:
  ret ptr %all

slow:
  %slow.at = getelementptr %spec, ptr %spec, i64 0, i32 1
  %other.way = load ptr, ptr %slow.at
  %slowly = call ptr @PyObject_Vectorcall(ptr %other.way, ptr %args, i64 %count, ptr null)
  ret ptr %slowly
}

; Context.host
define i32 @host(ptr %spec, i64 %number, ptr %pointers) {
entry:
  %gil = call i32 @PyGILState_Ensure()
  %table.at = getelementptr %spec, ptr %spec, i64 0, i32 13
  %table = load ptr, ptr %table.at
  %row = getelementptr %hosted, ptr %table, i64 %number
  %callable = load ptr, ptr %row
  %count.at = getelementptr %hosted, ptr %row, i64 0, i32 1
  %count = load i64, ptr %count.at
  %arrays.at = getelementptr %hosted, ptr %row, i64 0, i32 2
  %arrays = load ptr, ptr %arrays.at
  %objects = alloca ptr, i64 %count, align 16
  br label %test
test:
  %i = phi i64 [0, %entry], [%next, %made]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %call, label %more
more:
  %array = getelementptr %array, ptr %arrays, i64 %i
  %descr = load ptr, ptr %array
  %ndim.at = getelementptr %array, ptr %array, i64 0, i32 1
  %ndim64 = load i64, ptr %ndim.at
  %ndim = trunc i64 %ndim64 to i32
  %dims.at = getelementptr %array, ptr %array, i64 0, i32 2
  %dims = load ptr, ptr %dims.at
  %flags.at = getelementptr %array, ptr %array, i64 0, i32 3
  %flags64 = load i64, ptr %flags.at
  %flags = trunc i64 %flags64 to i32
  %data.at = getelementptr ptr, ptr %pointers, i64 %i
  %data = load ptr, ptr %data.at
  call void @Py_IncRef(ptr %descr)
  %object = call ptr @"np.NewFromDescr"(ptr @"np.ndarray", ptr %descr, i32 %ndim, ptr %dims, ptr null, ptr %data, i32 %flags, ptr null)
  %object.at = getelementptr ptr, ptr %objects, i64 %i
  store ptr %object, ptr %object.at
  %next = add i64 %i, 1
  %none = icmp eq ptr %object, null
  br i1 %none, label %failed, label %made
made:
  br label %test
call:
  %answer = call ptr @PyObject_Vectorcall(ptr %callable, ptr %objects, i64 %count, ptr null)
  call void @drop(ptr %objects, i64 %count)
  %wrong = icmp eq ptr %answer, null
  call void @Py_DecRef(ptr %answer)
  %code = zext i1 %wrong to i32
  call void @PyGILState_Release(i32 %gil)
  ret i32 %code
failed:
  call void @drop(ptr %objects, i64 %i)
  call void @PyGILState_Release(i32 %gil)
  ret i32 1
}

; Context.interrupted: has a signal's handler raised? Asked of Python at most every 20 ms, since the answer takes the GIL.
@asked = internal global i64 0, align 8
declare i32 @clock_gettime(i32, ptr)

define i32 @interrupted(ptr %spec) {
entry:
  %time = alloca [2 x i64], align 8
  %read = call i32 @clock_gettime(i32 $monotonic, ptr %time)
  %s = load i64, ptr %time
  %ns.at = getelementptr i64, ptr %time, i64 1
  %ns = load i64, ptr %ns.at
  %s.ns = mul i64 %s, 1000000000
  %now = add i64 %s.ns, %ns
  %last = load atomic i64, ptr @asked monotonic, align 8
  %since = sub i64 %now, %last
  %due = icmp ugt i64 %since, 20000000
  br i1 %due, label %ask, label %no
ask:
  store atomic i64 %now, ptr @asked monotonic, align 8
  %gil = call i32 @PyGILState_Ensure()
  %raised = call i32 @PyErr_CheckSignals()
  call void @PyGILState_Release(i32 %gil)
  %yes = icmp ne i32 %raised, 0
  %code = zext i1 %yes to i32
  ret i32 %code
no:
  ret i32 0
}
