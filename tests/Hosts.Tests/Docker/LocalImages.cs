using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>
/// Images without a registry: a base from this machine's own programs, libraries and .NET, and on it what deploy/*.Dockerfile makes of the files
/// that <c>make publish</c> made.
/// </summary>
internal static class LocalImages
{
    /// <summary>busybox, and the libraries that .NET needs.</summary>
    public const string Base = "sluice-base:local";

    public const string Worker = "sluice-worker:local";
    public const string Gateway = "sluice-gateway:local";
    public const string Redis = "redis:local";
    public const string Prometheus = "prometheus:local";

    public static async Task BuildAsync(DockerDaemon daemon, string folder)
    {
        var worker = Path.GetDirectoryName(Repository.Worker)!;
        await ImportAsync(daemon, folder, Base, [],
            [Repository.Worker, .. Directory.EnumerateFiles(worker, "*.so", SearchOption.AllDirectories), DotNet]);
        await BuildAsync(daemon, "worker", Worker);
    }

    /// <summary>Builds from deploy/NAME.Dockerfile.</summary>
    public static Task BuildAsync(DockerDaemon daemon, string name, string image) => daemon.DockerAsync("build", "-q", "-f", $"deploy/{name}.Dockerfile",
        "--build-arg", $"BASE={Base}", "--build-arg", "APP=prebuilt", "-t", image, ".");

    /// <summary>Imports a root of these programs and all that they need.</summary>
    public static async Task ImportAsync(DockerDaemon daemon, string folder, string image, IReadOnlyList<string> changes, IReadOnlyList<string> files)
    {
        var root = Path.Combine(folder, "root-" + image.Split(':')[0]);
        var tar = root + ".tar";
        await daemon.RunAsync(Path.Combine(Repository.Root, "eng", "local-rootfs"), [root, .. files]);
        await daemon.RunAsync("tar", ["-C", root, "-cf", tar, "."]);
        await daemon.DockerAsync(["import", .. changes.SelectMany(c => new[] { "-c", c }), tar, image]);
        Directory.Delete(root, recursive: true);
        File.Delete(tar);
    }

    /// <summary>The folder of the runtime that these tests run on.</summary>
    private static string DotNet => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "..", "..", ".."));
}
