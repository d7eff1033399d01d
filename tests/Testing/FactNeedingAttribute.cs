using Xunit;

namespace Sluice.Testing;

/// <summary>A test that is skipped, and says so, where a program of others is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FactNeedingAttribute : FactAttribute
{
    public FactNeedingAttribute(string program, string package)
    {
        Program = program;
        Package = package;
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        if (!path.Split(':').Any(p => File.Exists(Path.Combine(p, program))))
            Skip = $"{program} is not installed (Debian: {package})";
    }

    public string Program { get; }

    public string Package { get; }
}
