using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>
/// Builds images without a registry: a base image from this machine's own programs, libraries and .NET, and on it the
/// images of deploy/*.Dockerfile with the output of <c>make publish</c>.
/// </summary>
internal static class LocalImages
{
    /// <summary>busybox and the libraries that .NET requires.</summary>
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
    public static Task BuildAsync(DockerDaemon daemon, string name, string image) => daemon.DockerAsync(
        "build", "-q", "-f", $"deploy/{name}.Dockerfile",
        "--build-arg", $"BASE={Base}", "--build-arg", "APP=prebuilt", "-t", image, ".");

    /// <summary>Imports a root file system with these programs and all files that they require.</summary>
    public static async Task ImportAsync(
        DockerDaemon daemon,
        string folder,
        string image,
        IReadOnlyList<string> changes,
        IReadOnlyList<string> files)
    {
        var root = Path.Combine(folder, "root-" + image.Split(':')[0]);
        var tar = root + ".tar";
        await daemon.RunAsync(Path.Combine(Repository.Root, "eng", "local-rootfs"), [root, .. files]);
        await daemon.RunAsync("tar", ["-C", root, "-cf", tar, "."]);
        await daemon.DockerAsync(["import", .. changes.SelectMany(c => new[] { "-c", c }), tar, image]);
        Directory.Delete(root, recursive: true);
        File.Delete(tar);
    }

    /// <summary>The folder of the .NET runtime that runs these tests.</summary>
    private static string DotNet => Path.GetFullPath(
        Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "..", "..", ".."));
}
