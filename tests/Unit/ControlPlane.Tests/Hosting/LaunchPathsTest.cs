using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>Which parts of a declaration are treated as paths.</summary>
public sealed class LaunchPathsTest
{
    private static readonly LaunchPaths Paths = new("/srv/app",
        path => path is "/srv/app/server.py" or "/srv/app/models" or "/srv/shared/x.json");

    [Theory]
    [InlineData("python3 server.py", "python3 /srv/app/server.py")]
    [InlineData("bin/server --port 1", "/srv/app/bin/server --port 1")]
    [InlineData("./server ../shared/x.json", "/srv/app/server /srv/shared/x.json")]
    [InlineData("/usr/bin/env models", "/usr/bin/env models")]
    [InlineData("serve ./models", "serve /srv/app/models")]
    [InlineData("serve --bind 127.0.0.1 missing.py http://server.py --model=./models",
        "serve --bind 127.0.0.1 missing.py http://server.py --model=./models")]
    public void A_program_with_a_slash_and_arguments_that_exist_become_absolute(string command, string expected) =>
        Assert.Equal(expected.Split(' '), Paths.Command(command.Split(' ')));

    [Fact]
    public void Paths_in_the_variables_of_the_built_in_worker_become_absolute()
    {
        var env = new Dictionary<string, string>
        {
            ["SLUICE_MODEL_REPOSITORY"] = "./models",
            ["SLUICE_MODEL_CACHE"] = "",
            ["SLUICE_TENSORRT_CACHE"] = "/var/trt",
            ["SLUICE_CUDA_LIBRARY_PATH"] = "cuda/lib:/opt/cuda",
            ["OTHER"] = "./models",
        };
        Paths.Complete(env);
        Assert.Equal(["/srv/app/models", "", "/var/trt", "/srv/app/cuda/lib:/opt/cuda", "./models"], env.Values);
    }
}
