namespace Sluice.Worker.Api;

/// <summary>The names of all metrics of the worker. A test compares them with docs/reference/metrics.md.</summary>
internal static class MetricNames
{
    public const string ModelRequests = "sluice_model_requests_total";
    public const string ModelInferences = "sluice_model_inferences_total";
    public const string ModelExecutions = "sluice_model_executions_total";
    public const string ModelTokens = "sluice_model_tokens_total";
    public const string ModelInside = "sluice_model_inside";
    public const string ModelBatchCuts = "sluice_model_batch_cuts_total";
    public const string ModelBatchRows = "sluice_model_batch_rows";
    public const string ModelStageSeconds = "sluice_model_stage_seconds";
    public const string GenerationRunning = "sluice_generation_running";
    public const string GenerationWaiting = "sluice_generation_waiting";
    public const string GenerationSteps = "sluice_generation_steps_total";
    public const string GenerationPromptTokens = "sluice_generation_prompt_tokens_total";
    public const string GenerationCached = "sluice_generation_cached_tokens_total";
    public const string GenerationTokens = "sluice_generation_tokens_total";
    public const string GenerationRecomputed = "sluice_generation_recomputed_tokens_total";
    public const string GenerationPreemptions = "sluice_generation_preemptions_total";
    public const string GenerationAbandoned = "sluice_generation_abandoned_total";
    public const string GenerationCacheTokens = "sluice_generation_cache_tokens";
    public const string GenerationKeptTokens = "sluice_generation_kept_tokens";
    public const string GenerationCacheCapacity = "sluice_generation_cache_capacity_tokens";
    public const string ModelNodes = "sluice_model_nodes";
    public const string ModelMemory = "sluice_model_memory_bytes";
    public const string WorkerMemory = "sluice_worker_memory_bytes";
    public const string WorkerAllocated = "sluice_worker_allocated_bytes_total";
    public const string GpuUtilization = "sluice_gpu_utilization_ratio";
    public const string GpuMemoryUsed = "sluice_gpu_memory_used_bytes";
    public const string GpuMemory = "sluice_gpu_memory_bytes";
    public const string GpuTemperature = "sluice_gpu_temperature_celsius";
    public const string GpuPower = "sluice_gpu_power_watts";
}
