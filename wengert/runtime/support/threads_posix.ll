; Chunks of a loop on several threads.
;
; Whoever calls `parallel` claims chunks until none is left; so do the workers, if they come in time. The caller waits only for chunks that
; a worker has claimed. One loop is shared out at a time: a call that finds the pool taken runs all of its chunks itself.
;
; ticket  the number of the loop (high half) and how many of its chunks are unclaimed (low half). A claim is one exchange of the whole
;         word, so what belongs to a loop is read after a claim, and cannot change until the claimed chunk is done.

@busy = internal global i32 0, align 64
@turn = internal global i32 0, align 64
@ticket = internal global i64 0, align 64
@done = internal global i64 0, align 64
@kernel = internal global ptr null, align 64
@argument = internal global ptr null, align 8
@chunks = internal global i64 0, align 8
@asleep = internal global i32 0, align 64
@limit = global i32 1, align 64
@workers = global i32 0, align 4
@spins = global i32 $spins, align 4
@mutex = internal global [256 x i8] zeroinitializer, align 64
@condition = internal global [256 x i8] zeroinitializer, align 64
@ready = internal global i32 0, align 4

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)

; A moment's rest of the processor.
define internal void @pause() alwaysinline nounwind {
  $pause
  ret void
}

; Claim and run chunks of loop `%turn` until none is left.
define internal void @drain(i32 %turn) {
entry:
  %wide = zext i32 %turn to i64
  %mine = shl i64 %wide, 32
  br label %look
look:
  %now = load atomic i64, ptr @ticket seq_cst, align 8
  %high = and i64 %now, -4294967296
  %left = and i64 %now, 4294967295
  %same = icmp eq i64 %high, %mine
  %some = icmp ne i64 %left, 0
  %on = and i1 %same, %some
  br i1 %on, label %claim, label %out
claim:
  %less = sub i64 %now, 1
  %pair = cmpxchg ptr @ticket, i64 %now, i64 %less seq_cst seq_cst, align 8
  %won = extractvalue {i64, i1} %pair, 1
  br i1 %won, label %work, label %look
work:
  %kernel = load ptr, ptr @kernel
  %argument = load ptr, ptr @argument
  %chunks = load i64, ptr @chunks
  %chunk = sub i64 %chunks, %left
  call void %kernel(ptr %argument, i64 %chunk)
  %before = atomicrmw add ptr @done, i64 1 seq_cst
  br label %look
out:
  ret void
}

define internal ptr @work(ptr %number) {
entry:
  %index64 = ptrtoint ptr %number to i64
  %index = trunc i64 %index64 to i32
  br label %rest
rest:
  %last = phi i32 [0, %entry], [%turn, %ran]
  %patience = load atomic i32, ptr @spins monotonic, align 4
  br label %spin
spin:
  %count = phi i32 [0, %rest], [%count.next, %idle]
  %seen = load atomic i32, ptr @turn seq_cst, align 4
  %new = icmp ne i32 %seen, %last
  br i1 %new, label %begin, label %still
still:
  %count.next = add i32 %count, 1
  %tired = icmp uge i32 %count, %patience
  br i1 %tired, label %sleep, label %idle
idle:
  call void @pause()
  br label %spin
sleep:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %s = atomicrmw add ptr @asleep, i32 1 seq_cst
  br label %check
check:
  %again = load atomic i32, ptr @turn seq_cst, align 4
  %moved = icmp ne i32 %again, %last
  br i1 %moved, label %wake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr @condition, ptr @mutex)
  br label %check
wake:
  %a = atomicrmw sub ptr @asleep, i32 1 seq_cst
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %begin
begin:
  %turn = phi i32 [%seen, %spin], [%again, %wake]
  %limit = load atomic i32, ptr @limit seq_cst, align 4
  %wanted = icmp slt i32 %index, %limit
  br i1 %wanted, label %run, label %ran
run:
  call void @drain(i32 %turn)
  br label %ran
ran:
  br label %rest
}

; Start the workers that are missing. Signals stay with the threads that Python knows.
define internal void @hire(i32 %wanted) {
entry:
  %all = alloca [256 x i8], align 16
  %old = alloca [256 x i8], align 16
  %thread = alloca i64, align 8
  %set = load i32, ptr @ready
  %fresh = icmp eq i32 %set, 0
  br i1 %fresh, label %prepare, label %begin
prepare:
  %m = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %c = call i32 @pthread_cond_init(ptr @condition, ptr null)
  store i32 1, ptr @ready
  br label %begin
begin:
  %f = call i32 @sigfillset(ptr %all)
  %b = call i32 @pthread_sigmask(i32 $setmask, ptr %all, ptr %old)
  br label %test
test:
  %have = load i32, ptr @workers
  %enough = icmp sge i32 %have, %wanted
  br i1 %enough, label %finish, label %start
start:
  %next = add i32 %have, 1
  %index = sext i32 %next to i64
  %number = inttoptr i64 %index to ptr
  %code = call i32 @pthread_create(ptr %thread, ptr null, ptr @work, ptr %number)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %count, label %finish
count:
  %id = load i64, ptr %thread
  %d = call i32 @pthread_detach(i64 %id)
  store i32 %next, ptr @workers
  br label %test
finish:
  %r = call i32 @pthread_sigmask(i32 $setmask, ptr %old, ptr null)
  ret void
}

; Context.parallel
define void @parallel(ptr %self, ptr %kernel, ptr %frame, i64 %chunks) {
entry:
  %limit = load atomic i32, ptr @limit seq_cst, align 4
  %alone = icmp slt i32 %limit, 2
  %few = icmp ult i64 %chunks, 2
  %many = icmp ugt i64 %chunks, 4294967295
  %a = or i1 %alone, %few
  %b = or i1 %a, %many
  br i1 %b, label %serial, label %try
try:
  %taken = atomicrmw xchg ptr @busy, i32 1 seq_cst
  %free = icmp eq i32 %taken, 0
  br i1 %free, label %share, label %serial
serial:
  %i = phi i64 [0, %entry], [0, %try], [%i.next, %each]
  %end = icmp uge i64 %i, %chunks
  br i1 %end, label %out, label %each
each:
  call void %kernel(ptr %frame, i64 %i)
  %i.next = add i64 %i, 1
  br label %serial

share:
  %others = sub i32 %limit, 1
  %have = load i32, ptr @workers
  %enough = icmp sge i32 %have, %others
  br i1 %enough, label %publish, label %hire
hire:
  call void @hire(i32 %others)
  br label %publish
publish:
  store ptr %kernel, ptr @kernel
  store ptr %frame, ptr @argument
  store i64 %chunks, ptr @chunks
  store atomic i64 0, ptr @done seq_cst, align 8
  %turn.old = load atomic i32, ptr @turn seq_cst, align 4
  %turn = add i32 %turn.old, 1
  %wide = zext i32 %turn to i64
  %high = shl i64 %wide, 32
  %open = or i64 %high, %chunks
  store atomic i64 %open, ptr @ticket seq_cst, align 8
  store atomic i32 %turn, ptr @turn seq_cst, align 4
  %asleep = load atomic i32, ptr @asleep seq_cst, align 4
  %rouse = icmp ne i32 %asleep, 0
  br i1 %rouse, label %wake, label %claim
wake:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %w = call i32 @pthread_cond_broadcast(ptr @condition)
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %claim
claim:
  call void @drain(i32 %turn)
  br label %wait
wait:
  %count = phi i32 [0, %claim], [%count.next, %idle], [0, %yield]
  %done = load atomic i64, ptr @done seq_cst, align 8
  %all = icmp eq i64 %done, %chunks
  br i1 %all, label %leave, label %still
still:
  %count.next = add i32 %count, 1
  %long = icmp ugt i32 %count.next, 2000
  br i1 %long, label %yield, label %idle
idle:
  call void @pause()
  br label %wait
yield:
  %y = call i32 @sched_yield()
  br label %wait
leave:
  store atomic i32 0, ptr @busy seq_cst, align 4
  br label %out
out:
  ret void
}

; In a child of fork, which has none of its parent's other threads.
define void @threads_forked() nounwind {
  store i32 0, ptr @workers
  store i32 0, ptr @ready
  store atomic i32 0, ptr @asleep seq_cst, align 4
  store atomic i32 0, ptr @busy seq_cst, align 4
  store atomic i32 0, ptr @turn seq_cst, align 4
  store atomic i64 0, ptr @ticket seq_cst, align 8
  ret void
}
