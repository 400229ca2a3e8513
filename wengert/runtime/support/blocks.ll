; Large blocks of memory, reused after they have died: the system gives fresh pages at 0.6 ns an element.
;
; A block's address is aligned to 64. The 64 bytes before it hold
;   0  ptr  what malloc gave
;   8  i64  capacity in bytes
;  16  i64  epoch and size, for `meter.ll`
; Dead blocks lie in 32 slots under a spin lock that is held for some tens of nanoseconds.

%slot = type { ptr, i64, i64 } ; block or null, capacity, when it died

@pooled_least = global i64 4194304, align 8
@blocks_limit = global i64 0, align 8
@blocks_held = global i64 0, align 8
@blocks_reused = global i64 0, align 8
@blocks_made = global i64 0, align 8
@blocks_lock = internal global i32 0, align 64
@blocks_clock = internal global i64 0, align 8
@slots = internal global [32 x %slot] zeroinitializer, align 64

declare ptr @malloc(i64)
declare void @free(ptr)
declare i32 @sched_yield()
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal void @lock() nounwind {
entry:
  br label %again
again:
  %got = atomicrmw xchg ptr @blocks_lock, i32 1 acquire
  %free = icmp eq i32 %got, 0
  br i1 %free, label %done, label %wait
wait:
  %y = call i32 @sched_yield()
  br label %again
done:
  ret void
}

define internal void @unlock() nounwind {
  store atomic i32 0, ptr @blocks_lock release, align 4
  ret void
}

; In a child of fork, where another thread may have held the lock.
define void @blocks_forked() nounwind {
  store atomic i32 0, ptr @blocks_lock release, align 4
  ret void
}

define internal void @release(ptr %block) nounwind {
  %head = getelementptr i8, ptr %block, i64 -64
  %raw = load ptr, ptr %head
  call void @free(ptr %raw)
  ret void
}

; Take the block that died first out of its slot, or give null. The lock is held.
define internal ptr @oldest() nounwind {
entry:
  br label %test
test:
  %i = phi i64 [0, %entry], [%next, %keep]
  %best = phi ptr [null, %entry], [%best.next, %keep]
  %age = phi i64 [-1, %entry], [%age.next, %keep]
  %end = icmp eq i64 %i, 32
  br i1 %end, label %done, label %more
more:
  %slot = getelementptr [32 x %slot], ptr @slots, i64 0, i64 %i
  %block = load ptr, ptr %slot
  %died.at = getelementptr %slot, ptr %slot, i64 0, i32 2
  %died = load i64, ptr %died.at
  %used = icmp ne ptr %block, null
  %older = icmp ult i64 %died, %age
  %take = and i1 %used, %older
  br label %keep
keep:
  %best.next = select i1 %take, ptr %slot, ptr %best
  %age.next = select i1 %take, i64 %died, i64 %age
  %next = add i64 %i, 1
  br label %test
done:
  %none = icmp eq ptr %best, null
  br i1 %none, label %empty, label %out
empty:
  ret ptr null
out:
  %found = load ptr, ptr %best
  store ptr null, ptr %best
  %capacity.at = getelementptr %slot, ptr %best, i64 0, i32 1
  %capacity = load i64, ptr %capacity.at
  %held = load i64, ptr @blocks_held
  %less = sub i64 %held, %capacity
  store i64 %less, ptr @blocks_held
  ret ptr %found
}

; Free dead blocks, oldest first, until at most `%most` bytes are held.
define void @trim(i64 %most) nounwind {
entry:
  br label %again
again:
  call void @lock()
  %held = load i64, ptr @blocks_held
  %fine = icmp ule i64 %held, %most
  br i1 %fine, label %done, label %more
more:
  %block = call ptr @oldest()
  call void @unlock()
  %none = icmp eq ptr %block, null
  br i1 %none, label %out, label %drop
drop:
  call void @release(ptr %block)
  br label %again
done:
  call void @unlock()
  br label %out
out:
  ret void
}

; A block of at least `%size` bytes: the tightest dead one of up to twice that size, or a new one in place of as many dead bytes.
; `%what` it is, and for which entry, is for the meter.
define ptr @take(i64 %size, i64 %what, ptr %spec) nounwind {
entry:
  %padded = add i64 %size, 63
  %need = and i64 %padded, -64
  %twice = shl i64 %need, 1
  call void @lock()
  br label %test
test:
  %i = phi i64 [0, %entry], [%next, %keep]
  %best = phi ptr [null, %entry], [%best.next, %keep]
  %least = phi i64 [-1, %entry], [%least.next, %keep]
  %end = icmp eq i64 %i, 32
  br i1 %end, label %done, label %more
more:
  %slot = getelementptr [32 x %slot], ptr @slots, i64 0, i64 %i
  %block = load ptr, ptr %slot
  %capacity.at = getelementptr %slot, ptr %slot, i64 0, i32 1
  %capacity = load i64, ptr %capacity.at
  %used = icmp ne ptr %block, null
  %enough = icmp uge i64 %capacity, %need
  %modest = icmp ule i64 %capacity, %twice
  %tighter = icmp ult i64 %capacity, %least
  %a = and i1 %used, %enough
  %b = and i1 %modest, %tighter
  %c = and i1 %a, %b
  br label %keep
keep:
  %best.next = select i1 %c, ptr %slot, ptr %best
  %least.next = select i1 %c, i64 %capacity, i64 %least
  %next = add i64 %i, 1
  br label %test
done:
  %miss = icmp eq ptr %best, null
  br i1 %miss, label %make, label %reuse
reuse:
  %found = load ptr, ptr %best
  store ptr null, ptr %best
  %held = load i64, ptr @blocks_held
  %less = sub i64 %held, %least
  store i64 %less, ptr @blocks_held
  %reused = load i64, ptr @blocks_reused
  %reused.more = add i64 %reused, 1
  store i64 %reused.more, ptr @blocks_reused
  call void @unlock()
  %again = or i64 %what, 16
  %found.head = getelementptr i8, ptr %found, i64 -48
  call void @counted(ptr %found.head, i64 %size, ptr %found, i64 %again, ptr %spec)
  ret ptr %found
make:
  %dead = load i64, ptr @blocks_held
  %made = load i64, ptr @blocks_made
  %made.more = add i64 %made, 1
  store i64 %made.more, ptr @blocks_made
  call void @unlock()
  %keepable = call i64 @llvm.usub.sat.i64(i64 %dead, i64 %need)
  call void @trim(i64 %keepable)
  %raw.size = add i64 %need, 128
  %raw = call ptr @malloc(i64 %raw.size)
  %failed = icmp eq ptr %raw, null
  br i1 %failed, label %none, label %place
none:
  ret ptr null
place:
  %number = ptrtoint ptr %raw to i64
  %up = add i64 %number, 127
  %aligned = and i64 %up, -64
  %by = sub i64 %aligned, %number
  %fresh = getelementptr i8, ptr %raw, i64 %by
  %head = getelementptr i8, ptr %fresh, i64 -64
  store ptr %raw, ptr %head
  %head.size = getelementptr i8, ptr %head, i64 8
  store i64 %need, ptr %head.size
  call void @advise(ptr %fresh, i64 %need)
  %fresh.head = getelementptr i8, ptr %fresh, i64 -48
  call void @counted(ptr %fresh.head, i64 %size, ptr %fresh, i64 %what, ptr %spec)
  ret ptr %fresh
}
declare i64 @llvm.usub.sat.i64(i64, i64)

; A block has died.
define void @give(ptr %block) nounwind {
entry:
  %counted = getelementptr i8, ptr %block, i64 -48
  call void @uncounted(ptr %counted, ptr %block)
  %head = getelementptr i8, ptr %block, i64 -56
  %capacity = load i64, ptr %head
  %limit = load i64, ptr @blocks_limit
  %fits = icmp ule i64 %capacity, %limit
  br i1 %fits, label %room, label %drop
room:
  %most = sub i64 %limit, %capacity
  call void @trim(i64 %most)
  call void @lock()
  br label %test
test:
  %i = phi i64 [0, %room], [%next, %more]
  %end = icmp eq i64 %i, 32
  br i1 %end, label %full, label %more
more:
  %slot = getelementptr [32 x %slot], ptr @slots, i64 0, i64 %i
  %there = load ptr, ptr %slot
  %free = icmp eq ptr %there, null
  %next = add i64 %i, 1
  br i1 %free, label %keep, label %test
keep:
  store ptr %block, ptr %slot
  %capacity.at = getelementptr %slot, ptr %slot, i64 0, i32 1
  store i64 %capacity, ptr %capacity.at
  %clock = load i64, ptr @blocks_clock
  %tick = add i64 %clock, 1
  store i64 %tick, ptr @blocks_clock
  %died.at = getelementptr %slot, ptr %slot, i64 0, i32 2
  store i64 %tick, ptr %died.at
  %held = load i64, ptr @blocks_held
  %more.held = add i64 %held, %capacity
  store i64 %more.held, ptr @blocks_held
  call void @unlock()
  ret void
full:
  %old = call ptr @oldest()
  call void @unlock()
  call void @release(ptr %old)
  br label %room
drop:
  call void @release(ptr %block)
  ret void
}

; NumPy's allocator interface (NEP 49) over blocks.
define internal ptr @taken_for(i64 %size) nounwind {
  %spec = load ptr, ptr @entered
  %block = call ptr @take(i64 %size, i64 2, ptr %spec)
  ret ptr %block
}

define ptr @np_malloc(ptr %context, i64 %size) nounwind {
  %block = call ptr @taken_for(i64 %size)
  ret ptr %block
}

define ptr @np_calloc(ptr %context, i64 %count, i64 %item) nounwind {
  %size = mul i64 %count, %item
  %block = call ptr @taken_for(i64 %size)
  %none = icmp eq ptr %block, null
  br i1 %none, label %done, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 %size, i1 false)
  br label %done
done:
  ret ptr %block
}

define ptr @np_realloc(ptr %context, ptr %old, i64 %size) nounwind {
  %block = call ptr @taken_for(i64 %size)
  %none = icmp eq ptr %block, null
  br i1 %none, label %done, label %move
move:
  %head = getelementptr i8, ptr %old, i64 -56
  %capacity = load i64, ptr %head
  %less = icmp ult i64 %capacity, %size
  %count = select i1 %less, i64 %capacity, i64 %size
  call void @llvm.memcpy.p0.p0.i64(ptr %block, ptr %old, i64 %count, i1 false)
  call void @give(ptr %old)
  br label %done
done:
  ret ptr %block
}

define void @np_free(ptr %context, ptr %block, i64 %size) nounwind {
  call void @give(ptr %block)
  ret void
}
