using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>The output of <c>make publish</c> of this or of another checkout.</summary>
/// <param name="Name">Name of the build in reports: before or after.</param>
/// <param name="Gateway">Path of the gateway's program.</param>
/// <param name="Worker">Path of the worker's program.</param>
public sealed record PublishedBuild(string Name, string Gateway, string Worker)
{
    /// <summary>The build of this checkout.</summary>
    public static PublishedBuild Current => new("after", Repository.Gateway, Repository.Worker);

    /// <summary>Finds a build.</summary>
    /// <param name="name">Name of the build in reports.</param>
    /// <param name="folder">The <c>.build/run</c> folder of a checkout.</param>
    /// <exception cref="ArgumentException">The folder does not contain both programs.</exception>
    public static PublishedBuild At(string name, string folder)
    {
        // The gateway finds its worker beside its own folder.
        var root = Path.GetFullPath(folder);
        return new PublishedBuild(name, Program("gateway", "Sluice.Gateway"), Program("worker", "Sluice.Worker"));

        string Program(string part, string program)
        {
            var path = Path.Combine(root, part, program);
            return File.Exists(path) ? path : throw new ArgumentException(
                $"--before is '{folder}'; expected a folder that 'make publish' wrote: {path} is missing");
        }
    }
}
