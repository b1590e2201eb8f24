"""Words of kernel C that the grammar of C does not know, as data.

Harvested from the macros of kernels 5.10, 6.12 and 7.2 that are empty or made of attributes alone
(``compiler_attributes.h``, ``compiler_types.h``, ``init.h``, ``linkage.h``, ``cache.h``, ...), less those
with another meaning somewhere, and read through by hand.
"""

from __future__ import annotations

# Stand alone and mean nothing to control flow: attributes, sections, sparse's address spaces.
PLAIN = frozenset(
    b"""
    ACPI_INIT_FUNCTION CRYPTO_MINALIGN_ATTR EARLYCON_USED_OR_UNUSED FORCE_INLINE_ATTR INLINE_IFN_KUNIT INLINE_KEYWORD
    PER_CPU_ATTRIBUTES STATIC_IFN_KUNIT VISIBLE_IF_KUNIT ZSTDERRORLIB_API ZSTDLIB_API ZSTDLIB_STATIC_API
    __always_inline __always_unused __always_used __amode31_data __amode31_ref __annotate_jump_table __arcfp_code
    __arcfp_data __async_inline __attribute_const__ __bitwise __bitwise__ __bootdata __bpf_kfunc __bpfcall
    __bss_decrypted
    __cacheline_aligned __cacheline_aligned_in_smp __cacheline_internodealigned_in_smp __internodealigned_in_smp
    ____cacheline_aligned ____cacheline_aligned_in_smp ____cacheline_internodealigned_in_smp
    __cdecl __cold __compat_packed __cpuidle __cpumask_var_read_mostly __deprecated __designated_init __efiapi
    __exception __exception_irq_entry __exit __exit_call __exitcall __exitdata __exitused __fix_address
    __flatten __force
    __forceinline __function_aligned __gnu_inline __head __i915_active_call __i915_sw_fence_call __idmap
    __init __init_call __init_memblock __init_or_acpilib __init_or_cpufreq __init_or_fwtbl_lib __init_or_module
    __init_task_data __init_thread_info __initconst __initconst_or_module __initdata __initdata_memblock
    __initdata_or_acpilib __initdata_or_meminfo __initdata_or_module __initmv __inline __inline__ __inline_maybe_unused
    __iomem __irq_entry __kernel __kprobes __ksym __kstackalign __latent_entropy __lock_aligned
    __lockfunc __long_aligned
    __lsm_ro_after_init __malloc __maybe_unused __memexit __memexitconst __memexitdata __meminit __meminitconst
    __meminitdata __must_check __naked __net_exit __net_init __net_initconst __net_initdata __nmi_entry
    __no_caller_saved_registers __no_context_analysis __no_kasan_or_inline __no_kcsan __no_kcsan_or_inline
    __no_kmsan_checks __no_kstack_erase __no_profile __no_randomize_layout __no_sanitize_address __no_sanitize_coverage
    __no_sanitize_memory __no_sanitize_or_inline __no_sanitize_thread __no_sanitize_undefined __no_stack_protector
    __nocast __nocf_check __nocfi __nocfi_generic __noclone __noendbr __noinitretpoline __noinstr __noipa __nonstring
    __noreturn __noretpoline __nosavedata __noscs __notrace_funcgraph __overloadable __packed __page_aligned_bss
    __page_aligned_data __percpu __preserve_most __private __pure __randomize_layout __rcu __rcu_guarded __read_mostly
    __ref __refconst __refdata __restrict __restrict__ __retain __ro_after_init __safe __sched __seg_fs __seg_gs
    __signed_wrap __softirq_entry __syscall __tcmconst __tcmdata __tcmfunc __tcmlocalfunc __tracepoint_string
    __tracer_data
    __uninitialized __unused __used __user __visible __weak __xipram
    asmlinkage check_canary_attributes debug_noinline fastcall forceinline get_put_user_noinstr_attributes
    noinline noinline_for_stack noinline_for_tracing noinstr nokprobe_inline notrace rseq_inline
    uaccess_kmsan_or_inline __extension__
    """.split()
)

# Take arguments that mean nothing to control flow; blank with their parentheses.
WITH_ARGS = frozenset(
    b"""
    __acquires __acquires_ctx_lock __acquires_shared __acquires_shared_ctx_lock __alias __aligned __alloc_size
    __alloc_size__ __assume_aligned __assumes_ctx_lock __assumes_shared_ctx_lock __attribute __attribute__ __cleanup
    __compiletime_error __compiletime_warning __cond_acquires __cond_acquires_shared __cond_releases __copy __counted_by
    __counted_by_be __counted_by_le __counted_by_ptr __declspec __diagnose_as __error __excludes_ctx_lock __free
    __guarded_by __mode __must_hold __must_hold_shared __must_not_hold __nonnull __nonnull_args
    __no_context_analysis_args __pass_dynamic_object_size __pass_object_size __printf __pt_guarded_by __realloc_size
    __releases __releases_ctx_lock __releases_shared __releases_shared_ctx_lock __requires_ctx_lock
    __requires_shared_ctx_lock __returns_ctx_lock __scanf __section __sized_by __try_acquires_ctx_lock
    __try_acquires_shared_ctx_lock ACPI_PRINTF_LIKE TARGET_ATTRIBUTE
    """.split()
)

# Of `WITH_ARGS` these do mean something: they run a function at the end of the scope.
CLEANUP = frozenset((b"__free", b"__cleanup"))

# Address spaces, which a reader of a type wants to see.
KEPT_IN_TYPES = frozenset((b"__user", b"__iomem", b"__percpu", b"__rcu"))

# What can stand before a parenthesis and is no function or macro.
KEYWORDS = frozenset(
    b"""
    if while for switch return sizeof do else case goto default break continue typeof __typeof__ __typeof
    typeof_unqual __typeof_unqual__ __alignof__ __alignof _Alignof alignof asm __asm__ __asm volatile __volatile__
    inline static const struct union enum unsigned signed long short int char void float double _Bool bool extern
    register typedef auto _Generic _Static_assert __extension__ __attribute__
    """.split()
)

# In a type given as an argument these go, and the rest is the name.
TYPE_QUALIFIERS = frozenset((b"const", b"volatile", b"struct", b"union", b"enum", b"__restrict", b"restrict"))
