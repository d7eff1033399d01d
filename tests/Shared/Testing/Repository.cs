namespace Sluice.Testing;

/// <summary>The paths of the checkout, and of the output of `make publish`.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    public static string Gateway => Published("gateway", "Sluice.Gateway");

    public static string Worker => Published("worker", "Sluice.Worker");

    /// <summary>The worker with WebGPU, which eng/ensure-webgpu-worker publishes.</summary>
    public static string WebGpuWorker => Path.Combine(Root, ".build", "webgpu", "worker", "Sluice.Worker");

    /// <summary>The worker that executes the action in a job's input, from the solution's build output.</summary>
    public static string StubWorker => new[] { "Release", "Debug" }
        .Select(c => Path.Combine(Root, "tests", "Shared", "StubWorker", "bin", c, "net10.0", "Sluice.StubWorker"))
        .FirstOrDefault(File.Exists) ?? throw new InvalidOperationException("tests/Shared/StubWorker is not built");

    /// <summary>The worker whose responses violate HTTP, a script for Python.</summary>
    public static string HostileWorker =>
        Path.Combine(Root, "tests", "Shared", "HostileWorker", "hostile_worker.py");

    public static string Models => Path.Combine(Root, "models");

    private static string Published(string folder, string name)
    {
        // `make test-fast` sets it, so that a test without the trait cannot depend on an old publish.
        if (Environment.GetEnvironmentVariable("SLUICE_NO_PUBLISHED") is not null)
            throw new InvalidOperationException("a test of a published program needs the trait Needs=publish");
        var path = Path.Combine(Root, ".build", "run", folder, name);
        return File.Exists(path) ? path : throw new InvalidOperationException($"{path} is missing: run 'make publish'");
    }

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Gateway.sln"))) return folder.FullName;
        throw new InvalidOperationException("the tests do not run inside the checkout");
    }
}
