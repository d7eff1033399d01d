using Xunit;

namespace Sluice.Testing;

/// <summary>
/// Skips the running test, with the reason, if something that it needs is not available on this machine.
/// <c>make test</c> installs what it can, and prints the reason of each test that it skipped.
/// </summary>
public static class Require
{
    /// <summary>Requires a program in the search path, or a file with this absolute path.</summary>
    /// <param name="program">The program's name, or an absolute path.</param>
    /// <param name="package">The Debian package that contains it.</param>
    public static void Program(string program, string package)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        Assert.SkipUnless(
            folders.Any(f => File.Exists(Path.Combine(f, program))),
            $"{program} is not installed (Debian: {package})");
    }

    /// <summary>Requires that there is no reason against the test.</summary>
    /// <param name="whyNot">Why the test cannot run here; null: it can.</param>
    public static void Available(string? whyNot)
    {
        if (whyNot is not null) Assert.Skip(whyNot);
    }
}
