namespace Sluice.Testing;

/// <summary>Where the checkout is, and what `make publish` put into it.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    public static string Gateway => Published("gateway", "Sluice.Gateway");

    public static string Worker => Published("worker", "Sluice.Worker");

    public static string Models => Path.Combine(Root, "models");

    private static string Published(string folder, string name)
    {
        var path = Path.Combine(Root, ".build", "run", folder, name);
        return File.Exists(path) ? path : throw new InvalidOperationException($"{path} is missing: run 'make publish'");
    }

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Gateway.sln"))) return folder.FullName;
        throw new InvalidOperationException("the tests run outside of the checkout");
    }
}
