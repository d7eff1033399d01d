using Xunit;

namespace Sluice.Testing;

/// <summary>A test that is skipped, with the reason, if a required program is not installed.</summary>
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
