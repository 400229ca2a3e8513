; What memory is held, counted while a meter is on: NumPy's, by a handler (NEP 49) that hands every request on to the one it
; wraps; blocks' (`blocks.ll`); and what compiled loops take for their residuals. With no meter on, nothing is counted.
;
; @meter    0  the epoch, while anything is measured, or 0      5  number of pieces given back
;           1  bytes held that were taken in this epoch         6  bytes taken in memory of dead blocks
;           2  the most of them so far                          7  entries of the log so far
;           3  number of pieces taken                           8  entries that were read, and whose places are free
;           4  their bytes                                      9  entries that found no place
; A piece keeps its epoch and size in front of it, so that what was taken before, or by nobody who counts, is never subtracted.
;
; An entry of the log, of 96 bytes:
;   0  i64  bytes taken, or the negative of those given back; written last        32  ptr  spec of the entry that takes it, or null
;   8  ptr  address                                                              40  3 × (code object, offset), innermost first:
;  16  i64  what: 0 NumPy, 1 workspace, 2 a result's block, 3 residuals                who runs, for large pieces, if the GIL is held
;           of a loop; + 16 in memory of a dead block                           88  i64  bytes held afterwards
;  24  i64  when, in nanoseconds

@meter = global [16 x i64] zeroinitializer, align 64
@meter_log = global i64 0, align 8      ; its address, or 0
@meter_places = global i64 0, align 8   ; a power of two
@meter_framed = global i64 4096, align 8 ; bytes from which on an entry tells who runs
@entered = global ptr null              ; the spec for which NumPy is asked for memory

declare i32 @PyGILState_Check()
declare ptr @PyEval_GetFrame()
declare ptr @PyFrame_GetCode(ptr)
declare ptr @PyFrame_GetBack(ptr)
declare i32 @PyFrame_GetLasti(ptr)
declare ptr @realloc(ptr, i64)

define i64 @meter_now() nounwind {
  %time = alloca [2 x i64], align 8
  %read = call i32 @clock_gettime(i32 $monotonic, ptr %time)
  %s = load i64, ptr %time
  %ns.at = getelementptr i64, ptr %time, i64 1
  %ns = load i64, ptr %ns.at
  %s.ns = mul i64 %s, 1000000000
  %now = add i64 %s.ns, %ns
  ret i64 %now
}

; Up to three frames of Python's into an entry.
define internal void @who(ptr %to) nounwind noinline {
entry:
  %held = call i32 @PyGILState_Check()
  %ours = icmp ne i32 %held, 0
  br i1 %ours, label %look, label %done
look:
  %innermost = call ptr @PyEval_GetFrame()
  %none = icmp eq ptr %innermost, null
  br i1 %none, label %done, label %first
first:
  call void @Py_IncRef(ptr %innermost)
  br label %each
each:
  %frame = phi ptr [%innermost, %first], [%back, %outwards]
  %i = phi i64 [0, %first], [%next, %outwards]
  %code = call ptr @PyFrame_GetCode(ptr %frame)
  %offset = call i32 @PyFrame_GetLasti(ptr %frame)
  %offset64 = sext i32 %offset to i64
  %code.at = getelementptr [2 x i64], ptr %to, i64 %i
  store ptr %code, ptr %code.at
  %offset.at = getelementptr i64, ptr %code.at, i64 1
  store i64 %offset64, ptr %offset.at
  %back = call ptr @PyFrame_GetBack(ptr %frame)
  call void @Py_DecRef(ptr %frame)
  %next = add i64 %i, 1
  %end = icmp eq ptr %back, null
  br i1 %end, label %done, label %more
more:
  %enough = icmp eq i64 %next, 3
  br i1 %enough, label %last, label %outwards
outwards:
  br label %each
last:
  call void @Py_DecRef(ptr %back)
  br label %done
done:
  ret void
}

define internal void @note(i64 %size, ptr %address, i64 %what, ptr %spec, i64 %live) nounwind noinline {
entry:
  %log = load atomic i64, ptr @meter_log monotonic, align 8
  %logs = icmp ne i64 %log, 0
  br i1 %logs, label %place, label %done
place:
  %head = getelementptr i64, ptr @meter, i64 7
  %i = atomicrmw add ptr %head, i64 1 monotonic
  %tail.at = getelementptr i64, ptr @meter, i64 8
  %tail = load atomic i64, ptr %tail.at monotonic, align 8
  %used = sub i64 %i, %tail
  %places = load i64, ptr @meter_places
  %room = icmp ult i64 %used, %places
  br i1 %room, label %write, label %full
full: ; a log with a hole says nothing of what came after it
  store atomic i64 0, ptr @meter_log monotonic, align 8
  %lost.at = getelementptr i64, ptr @meter, i64 9
  %lost = atomicrmw add ptr %lost.at, i64 1 monotonic
  ret void
write:
  %mask = sub i64 %places, 1
  %slot = and i64 %i, %mask
  %by = mul i64 %slot, 96
  %at.number = add i64 %log, %by
  %at = inttoptr i64 %at.number to ptr
  %address.at = getelementptr i64, ptr %at, i64 1
  store ptr %address, ptr %address.at
  %what.at = getelementptr i64, ptr %at, i64 2
  store i64 %what, ptr %what.at
  %now = call i64 @meter_now()
  %when.at = getelementptr i64, ptr %at, i64 3
  store i64 %now, ptr %when.at
  %spec.at = getelementptr i64, ptr %at, i64 4
  store ptr %spec, ptr %spec.at
  %live.at = getelementptr i64, ptr %at, i64 11
  store i64 %live, ptr %live.at
  %least = load i64, ptr @meter_framed
  %large = icmp sge i64 %size, %least
  br i1 %large, label %framed, label %written
framed:
  %frames = getelementptr i64, ptr %at, i64 5
  call void @who(ptr %frames)
  br label %written
written:
  store atomic i64 %size, ptr %at release, align 8
  br label %done
done:
  ret void
}

; A piece of memory is taken; `%head` has 16 bytes for what is to be known of it when it is given back.
define internal void @counted(ptr %head, i64 %size, ptr %address, i64 %what, ptr %spec) nounwind {
entry:
  %epoch = load atomic i64, ptr @meter monotonic, align 8
  store i64 %epoch, ptr %head
  %size.at = getelementptr i64, ptr %head, i64 1
  store i64 %size, ptr %size.at
  %on = icmp ne i64 %epoch, 0
  br i1 %on, label %count, label %done
count:
  %live.at = getelementptr i64, ptr @meter, i64 1
  %before = atomicrmw add ptr %live.at, i64 %size monotonic
  %live = add i64 %before, %size
  %peak.at = getelementptr i64, ptr @meter, i64 2
  %peak = atomicrmw max ptr %peak.at, i64 %live monotonic
  %number.at = getelementptr i64, ptr @meter, i64 3
  %number = atomicrmw add ptr %number.at, i64 1 monotonic
  %all.at = getelementptr i64, ptr @meter, i64 4
  %all = atomicrmw add ptr %all.at, i64 %size monotonic
  %again = and i64 %what, 16
  %fresh = icmp eq i64 %again, 0
  br i1 %fresh, label %tell, label %reused
reused:
  %reused.at = getelementptr i64, ptr @meter, i64 6
  %reuse = atomicrmw add ptr %reused.at, i64 %size monotonic
  br label %tell
tell:
  call void @note(i64 %size, ptr %address, i64 %what, ptr %spec, i64 %live)
  br label %done
done:
  ret void
}

; A piece is given back. Called before that happens, or another thread could take it in between, and the log would be out of order.
define internal void @uncounted(ptr %head, ptr %address) nounwind {
entry:
  %now = load atomic i64, ptr @meter monotonic, align 8
  %on = icmp ne i64 %now, 0
  br i1 %on, label %check, label %done
check:
  %epoch = load i64, ptr %head
  %mine = icmp eq i64 %epoch, %now
  br i1 %mine, label %count, label %done
count:
  %size.at = getelementptr i64, ptr %head, i64 1
  %size = load i64, ptr %size.at
  %live.at = getelementptr i64, ptr @meter, i64 1
  %before = atomicrmw sub ptr %live.at, i64 %size monotonic
  %live = sub i64 %before, %size
  %number.at = getelementptr i64, ptr @meter, i64 5
  %number = atomicrmw add ptr %number.at, i64 1 monotonic
  %negative = sub i64 0, %size
  call void @note(i64 %negative, ptr %address, i64 0, ptr null, i64 %live)
  br label %done
done:
  ret void
}

; The handler. Its context is what it wraps: a context, malloc, calloc, realloc, free. The 64 bytes in front keep the alignment.
%wrapped = type { ptr, ptr, ptr, ptr, ptr }

define ptr @meter_malloc(ptr %wrapped, i64 %size) nounwind {
  %context = load ptr, ptr %wrapped
  %function.at = getelementptr %wrapped, ptr %wrapped, i64 0, i32 1
  %function = load ptr, ptr %function.at
  %more = add i64 %size, 64
  %raw = call ptr %function(ptr %context, i64 %more)
  %data = call ptr @met(ptr %raw, i64 %size)
  ret ptr %data
}

define ptr @meter_calloc(ptr %wrapped, i64 %count, i64 %item) nounwind {
  %context = load ptr, ptr %wrapped
  %function.at = getelementptr %wrapped, ptr %wrapped, i64 0, i32 2
  %function = load ptr, ptr %function.at
  %size = mul i64 %count, %item
  %more = add i64 %size, 64
  %raw = call ptr %function(ptr %context, i64 1, i64 %more)
  %data = call ptr @met(ptr %raw, i64 %size)
  ret ptr %data
}

define internal ptr @met(ptr %raw, i64 %size) nounwind {
entry:
  %none = icmp eq ptr %raw, null
  br i1 %none, label %refused, label %given
refused:
  ret ptr null
given:
  %data = getelementptr i8, ptr %raw, i64 64
  %spec = load ptr, ptr @entered
  call void @counted(ptr %raw, i64 %size, ptr %data, i64 0, ptr %spec)
  ret ptr %data
}

define ptr @meter_realloc(ptr %wrapped, ptr %old, i64 %size) nounwind {
entry:
  %none = icmp eq ptr %old, null
  br i1 %none, label %fresh, label %move
fresh:
  %new = call ptr @meter_malloc(ptr %wrapped, i64 %size)
  ret ptr %new
move:
  %context = load ptr, ptr %wrapped
  %function.at = getelementptr %wrapped, ptr %wrapped, i64 0, i32 3
  %function = load ptr, ptr %function.at
  %raw = getelementptr i8, ptr %old, i64 -64
  %was = alloca [2 x i64], align 8
  call void @llvm.memcpy.p0.p0.i64(ptr %was, ptr %raw, i64 16, i1 false)
  %more = add i64 %size, 64
  %moved = call ptr %function(ptr %context, ptr %raw, i64 %more)
  %refused = icmp eq ptr %moved, null
  br i1 %refused, label %failed, label %count
failed:
  ret ptr null
count:
  call void @uncounted(ptr %was, ptr %old)
  %data = call ptr @met(ptr %moved, i64 %size)
  ret ptr %data
}

define void @meter_free(ptr %wrapped, ptr %data, i64 %size) nounwind {
entry:
  %none = icmp eq ptr %data, null
  br i1 %none, label %done, label %give
give:
  %raw = getelementptr i8, ptr %data, i64 -64
  call void @uncounted(ptr %raw, ptr %data)
  %context = load ptr, ptr %wrapped
  %function.at = getelementptr %wrapped, ptr %wrapped, i64 0, i32 4
  %function = load ptr, ptr %function.at
  %taken.at = getelementptr i64, ptr %raw, i64 1
  %taken = load i64, ptr %taken.at ; what was asked for: NumPy's caches go by size
  %more = add i64 %taken, 64
  call void %function(ptr %context, ptr %raw, i64 %more)
  br label %done
done:
  ret void
}

; What compiled loops of unknown length keep for the way back; 16 bytes in front.
define ptr @stack_malloc(i64 %size) nounwind {
entry:
  %more = add i64 %size, 16
  %raw = call ptr @malloc(i64 %more)
  %none = icmp eq ptr %raw, null
  br i1 %none, label %refused, label %given
refused:
  ret ptr null
given:
  %data = getelementptr i8, ptr %raw, i64 16
  call void @counted(ptr %raw, i64 %size, ptr %data, i64 3, ptr null)
  ret ptr %data
}

define ptr @stack_realloc(ptr %old, i64 %size) nounwind {
entry:
  %raw = getelementptr i8, ptr %old, i64 -16
  %was = alloca [2 x i64], align 8
  call void @llvm.memcpy.p0.p0.i64(ptr %was, ptr %raw, i64 16, i1 false)
  %more = add i64 %size, 16
  %moved = call ptr @realloc(ptr %raw, i64 %more)
  %none = icmp eq ptr %moved, null
  br i1 %none, label %refused, label %given
refused:
  ret ptr null
given:
  call void @uncounted(ptr %was, ptr %old)
  %data = getelementptr i8, ptr %moved, i64 16
  call void @counted(ptr %moved, i64 %size, ptr %data, i64 3, ptr null)
  ret ptr %data
}

define void @stack_free(ptr %data) nounwind {
entry:
  %none = icmp eq ptr %data, null
  br i1 %none, label %done, label %give
give:
  %raw = getelementptr i8, ptr %data, i64 -16
  call void @uncounted(ptr %raw, ptr %data)
  call void @free(ptr %raw)
  br label %done
done:
  ret void
}

; METH_O: the address of the memory that an ndarray, or what it is a view of, begins with; 0 for anything else.
define ptr @root_of(ptr %self, ptr %x) nounwind {
entry:
  %type.at = getelementptr i8, ptr %x, i64 $type
  %type = load ptr, ptr %type.at
  %is = icmp eq ptr %type, @"np.ndarray"
  br i1 %is, label %each, label %other
other:
  %zero = call ptr @PyLong_FromLong(i64 0)
  ret ptr %zero
each:
  %array = phi ptr [%x, %entry], [%base, %view]
  %base.at = getelementptr i8, ptr %array, i64 $base
  %base = load ptr, ptr %base.at
  %none = icmp eq ptr %base, null
  br i1 %none, label %root, label %look
look:
  %base.type.at = getelementptr i8, ptr %base, i64 $type
  %base.type = load ptr, ptr %base.type.at
  %viewed = icmp eq ptr %base.type, @"np.ndarray"
  br i1 %viewed, label %view, label %root
view:
  br label %each
root:
  %data.at = getelementptr i8, ptr %array, i64 $data
  %data = load i64, ptr %data.at
  %address = call ptr @PyLong_FromLongLong(i64 %data)
  ret ptr %address
}
