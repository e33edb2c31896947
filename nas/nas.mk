# The NAS Parallel Benchmarks, for each MPI that has a compiler here:
# bin/nas/mpich/{ep,is,...}, bin/nas/openmpi/{...}.
# Works included by the top Makefile and alone: make -f nas/nas.mk nas

NAS_BIN           ?= bin/nas
NAS_MPICC_mpich   ?= mpicc.mpich
NAS_MPICC_openmpi ?= mpicc.openmpi
NAS_CFLAGS        ?=
NAS_WARNINGS      := -Wall -Wextra -Werror

NAS_SRC := nas/src
NAS_SOURCES_ep := ep.c common.c
NAS_SOURCES_is := is.c common.c
NAS_SOURCES_cg := cg.c cg_grid.c cg_matrix.c common.c
NAS_SOURCES_mg := mg.c mg_charges.c mg_grid.c mg_stencil.c common.c
NAS_SOURCES_ft := ft.c ft_fft.c ft_grid.c common.c
NAS_SOURCES_lu := lu.c lu_field.c lu_grid.c lu_relax.c lu_residual.c common.c
NAS_SOURCES_adi := adi.c adi_exact.c adi_flow.c adi_grid.c adi_lines.c common.c
NAS_SOURCES_bt := bt.c bt_blocks.c $(NAS_SOURCES_adi)
NAS_SOURCES_sp := sp.c sp_lines.c $(NAS_SOURCES_adi)

NAS_PROGRAMS := ep is cg mg ft lu bt sp
NAS_MPIS := $(strip $(foreach mpi,mpich openmpi,$(if $(shell command -v $(NAS_MPICC_$(mpi))),$(mpi))))
NAS_ALL  := $(foreach mpi,$(NAS_MPIS),$(addprefix $(NAS_BIN)/$(mpi)/,$(NAS_PROGRAMS)))

.PHONY: nas nas-clean
nas: $(NAS_ALL)
	$(if $(NAS_ALL),,$(error neither $(NAS_MPICC_mpich) nor $(NAS_MPICC_openmpi) is installed))

# One rule for each MPI and program. -std=c11 keeps GNU extensions out, and
# with them the contraction of a*b+c, so that every host gets the same bits.
define NAS_RULE
$(NAS_BIN)/$(1)/$(2): $(addprefix $(NAS_SRC)/,$(NAS_SOURCES_$(2))) $(wildcard $(NAS_SRC)/*.h) nas/nas.mk
	@mkdir -p $$(@D)
	$(NAS_MPICC_$(1)) -std=c11 -O3 $(NAS_WARNINGS) $(NAS_CFLAGS) -o $$@ $$(filter %.c,$$^) -lm
endef
$(foreach mpi,$(NAS_MPIS),$(foreach program,$(NAS_PROGRAMS),$(eval $(call NAS_RULE,$(mpi),$(program)))))

nas-clean:
	rm -f $(NAS_ALL)
