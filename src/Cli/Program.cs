using Sluice.Cli;

return await SluiceCommand.RunAsync(args);
