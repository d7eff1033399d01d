namespace Sluice.Testing;

/// <summary>The paths of the checkout, and of the output of `make publish`.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    public static string Gateway => Published("gateway", "Sluice.Gateway");

    /// <summary>
    /// The published worker. Without one, it is the build output of its project, so that the tests of the worker run
    /// after a plain build.
    /// </summary>
    public static string Worker => Published("worker", "Sluice.Worker", Built("src/Worker", "Sluice.Worker"));

    /// <summary>The worker with WebGPU, which eng/ensure-webgpu-worker publishes.</summary>
    public static string WebGpuWorker => Path.Combine(Root, ".build", "webgpu", "worker", "Sluice.Worker");

    /// <summary>The worker that executes the action in a job's input, from the solution's build output.</summary>
    public static string StubWorker => Built("tests/Shared/StubWorker", "Sluice.StubWorker")
        ?? throw new InvalidOperationException("tests/Shared/StubWorker is not built");

    /// <summary>The worker whose responses violate HTTP, a script for Python.</summary>
    public static string HostileWorker =>
        Path.Combine(Root, "tests", "Shared", "HostileWorker", "hostile_worker.py");

    /// <summary>The worker with the API of vLLM, a script for Python.</summary>
    public static string VllmStub => Path.Combine(Root, "tests", "Shared", "VllmStub", "vllm_stub.py");

    public static string Models => Path.Combine(Root, "models");

    private static string Published(string folder, string name, string? built = null)
    {
        // `make test-fast` does not publish, so a test without the trait would use an old program.
        if (RandomCases.AreFew)
            throw new InvalidOperationException("a test of a published program needs the trait Needs=publish");
        var path = Path.Combine(Root, ".build", "run", folder, name);
        if (File.Exists(path)) return path;
        return built ?? throw new InvalidOperationException($"{path} is missing: run 'make publish'");
    }

    /// <summary>Returns a program in the build output of its project, in the configuration of the tests.</summary>
    private static string? Built(string project, string name)
    {
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        var path = Path.Combine(Root, project, "bin", configuration, "net10.0", name);
        return File.Exists(path) ? path : null;
    }

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Gateway.sln"))) return folder.FullName;
        throw new InvalidOperationException("the tests do not run inside the checkout");
    }
}
