using Sluice.Testing;

namespace Sluice.Worker.Tests.Providers;

/// <summary>Workers with WebGPU over Mesa's software Vulkan device.</summary>
internal static class WebGpu
{
    private static readonly string Vulkan = Path.Combine(Repository.Root, ".build", "vulkan");

    /// <summary>Environment of a worker that runs on the device.</summary>
    public static IReadOnlyDictionary<string, string?> Environment { get; } = new Dictionary<string, string?>
    {
        ["SLUICE_EXECUTION_PROVIDERS"] = "webgpu",
        ["LD_LIBRARY_PATH"] = Path.Combine(Vulkan, "unpacked/usr/lib/x86_64-linux-gnu"),
        ["VK_ICD_FILENAMES"] = Path.Combine(Vulkan, "unpacked/usr/share/vulkan/icd.d/lvp_icd.json"),
        ["XDG_RUNTIME_DIR"] = Path.GetTempPath(),
        ["MESA_SHADER_CACHE_DIR"] = Path.Combine(Vulkan, "shaders"),
        // LLVM compiles the shaders of attention for vectors of 128 bits in a quarter of the time that it needs for the
        // processor's own.
        ["LP_NATIVE_VECTOR_WIDTH"] = "128",
    };

    /// <summary>Why no worker can run on the device, or null.</summary>
    public static string? WhyNot =>
        !File.Exists(Path.Combine(Vulkan, "ready")) ? "no software Vulkan device: run eng/ensure-software-vulkan"
        : File.Exists(Repository.WebGpuWorker) ? null : "no worker with WebGPU: run eng/ensure-webgpu-worker";

    /// <summary>Starts a worker that serves one model.</summary>
    public static async Task<WorkerProcess> StartAsync(
        string folder,
        string model,
        IReadOnlyDictionary<string, string?>? more = null)
    {
        var environment = new Dictionary<string, string?>(Environment) { ["SLUICE_MODELS"] = model };
        foreach (var (name, value) in more ?? new Dictionary<string, string?>()) environment[name] = value;
        await CompileAsync(folder, environment);
        return await WorkerProcess.StartAsync(folder, environment, Repository.WebGpuWorker);
    }

    /// <summary>
    /// A software device compiles the shaders of attention for half a minute, on a busy machine for minutes. Then Mesa
    /// keeps them.
    /// </summary>
    public static async Task CompileAsync(string folder, IReadOnlyDictionary<string, string?> environment)
    {
        await using var worker = WorkerProcess.Launch(
            folder, new Dictionary<string, string?>(environment), Repository.WebGpuWorker);
        for (var patience = 5; ; patience--)
            try
            {
                await worker.LineAsync("ready: ");
                return;
            }
            catch (TimeoutException) when (patience > 1)
            {
                // Not yet.
            }
    }
}
