namespace Sluice.Worker.Providers;

/// <summary>
/// The options of each execution provider by their official names, from <c>cuda_provider_options.h</c>,
/// <c>tensorrt_provider_options.h</c> and <c>webgpu_provider_options.h</c> of ONNX Runtime 1.29. Each name was
/// verified in the libraries of version 1.31 (WebGPU: 1.30). Options that take a pointer (a stream, a device) are
/// omitted, because a setting cannot contain one.
/// </summary>
public static class ProviderOptionNames
{
    /// <summary>Options that <c>SLUICE_CUDA_OPTIONS</c> accepts.</summary>
    public static readonly IReadOnlyList<string> Cuda =
    [
        "device_id", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search", "do_copy_in_default_stream",
        "cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d", "enable_cuda_graph", "use_tf32", "prefer_nhwc",
        "enable_skip_layer_norm_strict_mode", "tunable_op_enable", "tunable_op_tuning_enable",
        "tunable_op_max_tuning_duration_ms", "use_ep_level_unified_stream", "fuse_conv_bias", "sdpa_kernel",
        "enable_cudnn",
    ];

    /// <summary>Options that <c>SLUICE_TENSORRT_OPTIONS</c> accepts.</summary>
    public static readonly IReadOnlyList<string> TensorRt =
    [
        "device_id", "trt_max_partition_iterations", "trt_min_subgraph_size", "trt_max_workspace_size",
        "trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable", "trt_int8_calibration_table_name",
        "trt_int8_use_native_calibration_table", "trt_dla_enable", "trt_dla_core", "trt_dump_subgraphs",
        "trt_engine_cache_enable", "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_engine_decryption_enable",
        "trt_engine_decryption_lib_path", "trt_force_sequential_engine_build", "trt_context_memory_sharing_enable",
        "trt_layer_norm_fp32_fallback", "trt_timing_cache_enable", "trt_timing_cache_path", "trt_force_timing_cache",
        "trt_detailed_build_log", "trt_build_heuristics_enable", "trt_sparsity_enable",
        "trt_builder_optimization_level", "trt_auxiliary_streams", "trt_tactic_sources", "trt_extra_plugin_lib_paths",
        "trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes", "trt_cuda_graph_enable",
        "trt_dump_ep_context_model", "trt_ep_context_file_path", "trt_ep_context_embed_mode",
        "trt_weight_stripped_engine_enable", "trt_onnx_model_folder_path", "trt_engine_hw_compatible",
        "trt_op_types_to_exclude", "trt_preview_features", "trt_load_user_initializer",
    ];

    /// <summary>Options that <c>SLUICE_WEBGPU_OPTIONS</c> accepts.</summary>
    public static readonly IReadOnlyList<string> WebGpu =
    [
        "deviceId", "preferredLayout", "enableGraphCapture", "enableInt64", "validationMode", "preserveDevice",
        "forceCpuNodeNames", "powerPreference", "dawnBackendType", "storageBufferCacheMode", "uniformBufferCacheMode",
        "queryResolveBufferCacheMode", "defaultBufferCacheMode", "maxStorageBufferBindingSize",
        "maxNumPendingDispatches", "sessionBufferPoolGenerations",
    ];

    /// <summary>Returns whether the value of an option is 0 or 1. ONNX Runtime also accepts False and True.</summary>
    internal static bool IsSwitch(string name) =>
        name.EndsWith("_enable", StringComparison.Ordinal) || name.StartsWith("enable_", StringComparison.Ordinal)
        || name is "do_copy_in_default_stream" or "cudnn_conv_use_max_workspace" or "cudnn_conv1d_pad_to_nc1d"
            or "use_tf32" or "prefer_nhwc" or "use_ep_level_unified_stream" or "fuse_conv_bias"
            or "trt_force_sequential_engine_build" or "trt_layer_norm_fp32_fallback" or "trt_force_timing_cache"
            or "trt_detailed_build_log" or "trt_dump_subgraphs" or "trt_dump_ep_context_model"
            or "trt_engine_hw_compatible" or "trt_int8_use_native_calibration_table";

    /// <summary>Returns the range of an option whose value is a whole number. Null for other options.</summary>
    internal static (long Least, long Most)? Range(string name) => name switch
    {
        "device_id" => (0, int.MaxValue),
        "gpu_mem_limit" or "trt_max_workspace_size" => (0, long.MaxValue),
        "trt_builder_optimization_level" => (0, 5),
        "trt_auxiliary_streams" => (-1, int.MaxValue),
        "trt_max_partition_iterations" or "trt_min_subgraph_size" => (1, int.MaxValue),
        "tunable_op_max_tuning_duration_ms" or "trt_dla_core" => (0, int.MaxValue),
        _ => null,
    };

    /// <summary>Returns the allowed words of an option whose value is a word. Null for other options.</summary>
    internal static IReadOnlyList<string>? Words(string name) => name switch
    {
        "arena_extend_strategy" => ["kNextPowerOfTwo", "kSameAsRequested"],
        "cudnn_conv_algo_search" => ["EXHAUSTIVE", "HEURISTIC", "DEFAULT"],
        _ => null,
    };
}
