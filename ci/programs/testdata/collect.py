"""Collectives, a window and spawned children: in each step every rank adds what
all others have, three ways that must agree, and rank 0 prints the sum."""
import sys
import time
from mpi4py import MPI
import numpy

world = MPI.COMM_WORLD
rank, size = world.rank, world.size
if len(sys.argv) > 2:  # a child: it serves its parent
    parent = MPI.Comm.Get_parent()
    while (n := parent.bcast(None, root=0)) is not None:
        parent.gather(n * (world.rank + 1), root=0)
    parent.Disconnect()
    sys.exit(0)

steps = int(sys.argv[1])
memory = numpy.zeros(size, 'l')
window = MPI.Win.Create(memory, memory.itemsize, comm=world)
children = MPI.COMM_SELF.Spawn(sys.executable, [__file__, 'child', 'x'], 2) if rank == 0 else None
sum_ = 0
for step in range(steps):
    value = (rank + 1) * (step + 1)
    mine = numpy.array([value], 'l')
    window.Fence()
    for other in range(size):
        window.Put(mine, other, rank)
    window.Fence()
    whole = world.allreduce(value)
    assert int(memory.sum()) == whole, (step, memory, whole)
    assert sum(world.alltoall([value] * size)) == whole
    assert world.bcast({'step': step} if rank == 0 else None)['step'] == step
    if children:
        children.bcast(whole, root=MPI.ROOT)
        got = children.gather(None, root=MPI.ROOT)
        assert got == [whole, 2 * whole], got
        sum_ += sum(got)
        print('step', step, sum_, flush=True)
    time.sleep(0.02)
window.Free()
if children:
    children.bcast(None, root=MPI.ROOT)
    children.Disconnect()
    print('the end', sum_, flush=True)
