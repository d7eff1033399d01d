using System.Xml.Linq;
using ArchUnitNET.Domain;
using ArchUnitNET.Fluent.Slices;
using ArchUnitNET.Loader;
using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>
/// Checks the structure of the compiled programs: no dependency cycle between namespaces, and a domain that only
/// decides. The references between projects are compared with the documentation in <see cref="ReferenceTest"/>.
/// </summary>
public sealed class ArchitectureTest
{
    /// <summary>Types through which code reads a clock, a file, a process or the network.</summary>
    private static readonly string[] InputsAndOutputs =
    [
        "System.TimeProvider", "System.IO.File", "System.IO.Directory", "System.IO.FileStream", "System.Environment",
        "System.Diagnostics.Process", "System.Diagnostics.Stopwatch", "System.Threading.Timer",
    ];

    private static readonly string[] Packages =
        ["Sluice.", "System.Net.Sockets.", "System.Net.Http.", "StackExchange.", "Microsoft.AspNetCore."];

    // Loading the assemblies takes seconds.
    private static readonly Lazy<Architecture> Gateway = new(() => Load("Gateway"));

    [Theory]
    [InlineData("Gateway")]
    [InlineData("Worker")]
    public void Namespaces_form_no_cycle(string program)
    {
        var rule = SliceRuleDefinition.Slices().Matching("Sluice.(**)").Should().BeFreeOfCycles();
        var results = rule.Evaluate(program == "Gateway" ? Gateway.Value : Load(program)).Where(r => !r.Passed).Select(r => r.Description);
        Assert.Empty(results);
    }

    [Fact]
    public void The_domain_uses_no_clock_no_input_no_output_and_no_package()
    {
        var project = XDocument.Load(Path.Combine(Repository.Root, "src/Domain/Domain.csproj"));
        Assert.Empty(project.Descendants("ProjectReference"));
        var used = Gateway.Value.Types
            .Where(t => t.FullName.StartsWith("Sluice.Domain.", StringComparison.Ordinal))
            .SelectMany(t => t.Dependencies.Select(d => (From: t.FullName, To: d.Target.FullName)))
            .Where(d => !d.To.StartsWith("Sluice.Domain.", StringComparison.Ordinal))
            .Where(d => InputsAndOutputs.Contains(d.To)
                || Packages.Any(p => d.To.StartsWith(p, StringComparison.Ordinal)));
        Assert.Empty(used.Distinct());
    }

    private static Architecture Load(string program)
    {
        var folder = AppContext.BaseDirectory;
        string[] names = program == "Worker"
            ? ["Worker"]
            : ["Domain", "Shared", "Storage", "Dispatch", "Models", "Hosting", "Hosting.Docker", "ControlPlane", "Gateway"];
        var loader = new ArchLoader();
        foreach (var name in names)
            loader = loader.LoadAssembly(
                System.Reflection.Assembly.LoadFrom(Path.Combine(folder, $"Sluice.{name}.dll")));
        return loader.Build();
    }
}
