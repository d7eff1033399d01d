using System.Diagnostics;
using Sluice.Worker.Devices;

namespace Sluice.Worker.Tests.Providers;

/// <summary>
/// Libraries without LD_LIBRARY_PATH, shown with stub libraries that gcc makes here: what is preloaded satisfies what
/// needs it, and what fails is named. Each test's libraries have names of their own: a loaded one stays loaded.
/// </summary>
public sealed class GpuLibrariesTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-libraries-").FullName;
    private readonly string mark = Guid.NewGuid().ToString("N")[..8];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_library_loads_by_path_once_those_that_it_needs_are_loaded_before_it()
    {
        await StubAsync("lt");
        await StubAsync("blas", needs: "lt");
        await StubAsync("provider", needs: "blas");
        var away = Directory.CreateDirectory(Path.Combine(folder, "elsewhere")).FullName;
        foreach (var name in new[] { "lt", "blas" }) File.Move(At(name), Path.Combine(away, File_(name)));

        // The order decides: the loader's error moves on from one missing library to the next.
        Assert.Equal($"{File_("blas")}: cannot open shared object file: No such file or directory", Load("provider", folder).Error);
        Assert.Equal($"{File_("lt")}: cannot open shared object file: No such file or directory", Load("blas", away).Error);
        Assert.Null(Load("lt", away).Error);
        Assert.Equal($"{File_("blas")}: cannot open shared object file: No such file or directory", Load("provider", folder).Error);
        Assert.Equal(Path.Combine(away, File_("blas")), Load("blas", away).Path);
        Assert.Null(Load("provider", folder).Error);
    }

    [Fact]
    public async Task The_first_folder_wins_and_a_broken_file_there_leads_to_the_next()
    {
        await StubAsync("cudart");
        var broken = Directory.CreateDirectory(Path.Combine(folder, "broken")).FullName;
        await File.WriteAllTextAsync(Path.Combine(broken, File_("cudart")), "no library");
        Assert.Equal(At("cudart"), Load("cudart", broken, folder).Path);
        Assert.NotNull(Load("cudart-none", broken).Error);
    }

    [Fact]
    public void Every_failure_is_named_and_none_stops_the_others()
    {
        var loads = GpuLibraries.Load([new($"libnone{mark}.so.1", "one"), new("libc.so.6", "libc"), new($"libnothing{mark}.so.2", "two")], [folder]);
        Assert.Equal([$"libnone{mark}.so.1: cannot open shared object file: No such file or directory", null,
            $"libnothing{mark}.so.2: cannot open shared object file: No such file or directory"], loads.Select(l => l.Error));
    }

    [Fact]
    public void Libraries_come_after_those_that_they_need()
    {
        // readelf -d of ONNX Runtime 1.31's providers and of CUDA 13's and TensorRT 10's libraries.
        (string Library, string Needs)[] needed =
        [
            ("libcublasLt.so.13", "libcudart.so.13"), ("libcublas.so.13", "libcublasLt.so.13"), ("libcudnn_ops.so.9", "libcudnn_graph.so.9"),
            ("libcudnn_graph.so.9", "libcublasLt.so.13"), ("libnvinfer.so.10", "libcudart.so.13"), ("libnvonnxparser.so.10", "libnvinfer.so.10"),
        ];
        var order = GpuLibraries.For("tensorrt").Select(l => l.File).ToList();
        foreach (var (library, needs) in needed)
            Assert.True(order.IndexOf(needs) >= 0 && order.IndexOf(needs) < order.IndexOf(library), $"{needs} before {library}");
        Assert.DoesNotContain(GpuLibraries.For("cuda"), l => l.Of == "TensorRT");
        Assert.Empty(GpuLibraries.For("webgpu"));
    }

    [Fact]
    public void The_majors_that_lie_in_the_folders_are_told()
    {
        foreach (var name in new[] { "libnvinfer.so.11", "libnvinfer.so.11.4.0", "libnvinfer_plugin.so.9" }) File.WriteAllText(Path.Combine(folder, name), "");
        Assert.Equal([11], GpuLibraries.MajorVersions("libnvinfer", [folder, "/no/such/folder"]));
    }

    [Fact]
    public void Folders_are_ordered_by_version_and_not_as_text()
    {
        foreach (var name in new[] { "cuda", "cuda-9.2", "cuda-13.0", "cuda-13.10", "cuda-13.2", "other" })
            Directory.CreateDirectory(Path.Combine(folder, name));
        Assert.Equal(
            ["cuda-13.10", "cuda-13.2", "cuda-13.0", "cuda-9.2", "cuda"],
            GpuLibraries.Matching(folder, "cuda*").Select(Path.GetFileName));
    }

    private LibraryLoad Load(string name, params string[] folders) => GpuLibraries.Load(new GpuLibrary(File_(name), name), folders);

    private string File_(string name) => $"lib{name}{mark}.so.13";

    private string At(string name) => Path.Combine(folder, File_(name));

    private async Task StubAsync(string name, string? needs = null)
    {
        string[] arguments = ["-shared", "-fPIC", "-x", "c", "/dev/null", $"-Wl,-soname,{File_(name)}", "-o", At(name),
            .. needs is null ? Array.Empty<string>() : ["-Wl,--no-as-needed", "-x", "none", At(needs)]];
        Process? gcc = null;
        try
        {
            gcc = Process.Start(new ProcessStartInfo("gcc", arguments) { RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Fail("gcc is missing: run eng/ensure-test-tools, or apt-get install gcc libc6-dev");
        }

        using (gcc)
        {
            var said = await gcc!.StandardError.ReadToEndAsync();
            await gcc.WaitForExitAsync();
            Assert.True(gcc.ExitCode == 0, said);
        }
    }
}
