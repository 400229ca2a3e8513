; Where there are no POSIX threads, the caller runs all chunks.

@limit = global i32 1, align 64
@workers = global i32 0, align 4
@spins = global i32 0, align 4

define void @parallel(ptr %self, ptr %kernel, ptr %frame, i64 %chunks) {
entry:
  br label %serial
serial:
  %i = phi i64 [0, %entry], [%i.next, %each]
  %end = icmp uge i64 %i, %chunks
  br i1 %end, label %out, label %each
each:
  call void %kernel(ptr %frame, i64 %i)
  %i.next = add i64 %i, 1
  br label %serial
out:
  ret void
}

define void @threads_forked() nounwind {
  ret void
}
